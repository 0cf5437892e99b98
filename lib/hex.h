/* SPDX-License-Identifier: MIT */
/* Bytes as hexadecimal text. */
#ifndef LIB_HEX_H
#define LIB_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 x len digits and a NUL. */
void hex_encode(const uint8_t *bytes, size_t len, char *ret);

/* The first 2 x len characters of `text`. False when one of them is no digit of either case. */
bool hex_decode(const char *text, size_t len, uint8_t *ret);

#endif
