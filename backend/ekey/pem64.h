/* SPDX-License-Identifier: MIT */
/*
 * The device's text forms: base64 with padding, and the 12-bit sub-code (low six bits first).
 * doc/protocol.md 2. Decoding is strict: canonical text only, nothing after a padded quad.
 */
#ifndef BACKEND_EKEY_PEM64_H
#define BACKEND_EKEY_PEM64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEM64_TEXT_LEN(bytes) (((bytes) + 2) / 3 * 4)
#define PEM64_SUBCODE_MAX 4095

/* Writes PEM64_TEXT_LEN(len) characters and no NUL. */
void pem64_encode(const uint8_t *bytes, size_t len, char *ret_text);

/*
 * Decodes `text_len` characters into at most `cap` bytes. False, with nothing promised about
 * `ret`, for a length that is not a multiple of 4, a character outside the alphabet, misplaced
 * padding, non-zero padding bits, or more than `cap` bytes.
 */
bool pem64_decode(const char *text, size_t text_len, size_t cap, uint8_t *ret, size_t *ret_len);

/* `value` is at most PEM64_SUBCODE_MAX. */
void pem64_subcode_encode(unsigned value, char ret_text[static 2]);
bool pem64_subcode_decode(const char text[static 2], unsigned *ret_value);

#endif
