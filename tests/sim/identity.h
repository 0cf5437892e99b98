/* SPDX-License-Identifier: MIT */
/* Who the simulated key is: serial, long-term key and master key, as people write them. */
#ifndef TESTS_SIM_IDENTITY_H
#define TESTS_SIM_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/ekey/keyed.h"

#define IDENTITY_LINE_LEN 62 /* "SERIAL LTK", 16 + 1 + 44 characters, and a NUL */

/* 16 characters of PEM. */
bool identity_parse_serial(const char *text, uint8_t ret[static KEYED_SERIAL_LEN]);

/* 64 hexadecimal digits, or 44 characters of PEM. */
bool identity_parse_ltk(const char *text, uint8_t ret[static KEYED_SECRET_LEN]);

/* 64 hexadecimal digits, or the 44 characters with CRC of the printed card. */
bool identity_parse_master(const char *text, uint8_t ret[static KEYED_SECRET_LEN]);

/* The keyring line, without its end. Secret. */
void identity_line(const uint8_t serial[static KEYED_SERIAL_LEN],
		   const uint8_t ltk[static KEYED_SECRET_LEN], char ret[static IDENTITY_LINE_LEN]);

/* Writes a keyring of that one line, mode 0600, replacing the file whole. 0 or -errno. */
int identity_write_keyring(const char *path, const char *line);

#endif
