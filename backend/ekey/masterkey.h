/* SPDX-License-Identifier: MIT */
/* The master key as it is printed on the card: 44 characters, with a CRC-8. doc/protocol.md 5. */
#ifndef BACKEND_EKEY_MASTERKEY_H
#define BACKEND_EKEY_MASTERKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MASTERKEY_LEN 32

/*
 * Takes the text with spaces anywhere. False for a wrong length, a wrong character or a CRC that
 * does not match. A key of 32 bytes without CRC (43 characters and '=') is accepted, as by ekeyd.
 */
bool masterkey_parse(const char *text, uint8_t ret_key[static MASTERKEY_LEN]);

/* Polynomial 0x31, initial value 0xff, not reflected (CRC-8/NRSC-5). */
uint8_t crc8(const uint8_t *bytes, size_t len);

#endif
