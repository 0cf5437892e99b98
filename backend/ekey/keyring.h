/* SPDX-License-Identifier: MIT */
/*
 * Long-term keys by serial, in ekeyd's file format: "SERIAL LTK" in PEM, 16 and 44 characters, one
 * key a line; '#' starts a comment line. doc/protocol.md 5. Read as ekeyd reads it, where a bad
 * line costs that line only; a file that is to be written to should have no such line.
 */
#ifndef BACKEND_EKEY_KEYRING_H
#define BACKEND_EKEY_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ekey/keyed.h"

#define KEYRING_MAX 256 /* keys: far more than one host's USB can hold */
#define KEYRING_SERIAL_TEXT_LEN 16
#define KEYRING_FILE_MAX 65536 /* bytes of a keyring file that are read at all */

struct keyring_entry {
	uint8_t serial[KEYED_SERIAL_LEN];
	uint8_t ltk[KEYED_SECRET_LEN];
};

/* Secret: allocate it with secret_new(). All zero is an empty ring. */
struct keyring {
	size_t len;
	struct keyring_entry entries[KEYRING_MAX + 1]; /* the last is for the line that is read */
};

#define KEYRING_ERRORS_MAX 8 /* lines that are named */

struct keyring_errors {
	size_t count; /* may be more than KEYRING_ERRORS_MAX */
	struct {
		unsigned line; /* from 1 */
		bool ignored;  /* the whole line, and not only text behind its key */
		const char *why;
	} at[KEYRING_ERRORS_MAX];
};

/*
 * Reads a whole file's text into *ret, which must not be in use: read into a fresh ring, then
 * swap. False with *ret_errors for bad lines, text behind a key, a serial named twice (the last
 * line counts), or more than KEYRING_MAX; *ret has all good lines even then.
 */
bool keyring_parse(const char *text, size_t len, struct keyring *ret,
		   struct keyring_errors *ret_errors);

/* The long-term key of `serial`, or NULL. */
const uint8_t *keyring_find(const struct keyring *ring, const uint8_t serial[static 12]);

/* "SERIAL LTK", without an end of line and without a NUL. Secret. */
#define KEYRING_LINE_LEN 61
void keyring_line(const struct keyring_entry *entry, char ret[static KEYRING_LINE_LEN]);

/*
 * Writes the text of a keyring file, for which keyring_parse() is true, with this entry in it: in
 * the place of the serial's old key, or as a new line at the end. Every other line, comments too,
 * stays as it is. Returns the length, at most KEYRING_EDITED_LEN(len).
 */
#define KEYRING_EDITED_LEN(len) ((len) + 1 + KEYRING_LINE_LEN + 1)
size_t keyring_edit(const char *text, size_t len, const struct keyring_entry *entry, char *ret);

/* The serial as it is printed and written: 16 characters and a NUL. */
void keyring_serial_text(const uint8_t serial[static 12],
			 char ret[static KEYRING_SERIAL_TEXT_LEN + 1]);

/* For messages about a text that keyring_serial_parse() refuses. */
#define KEYRING_SERIAL_HINT \
	"a key's serial number has 16 characters of A-Z a-z 0-9 + / (a link's name has _ for /);" \
	" `lsusb -v -d 20df:` shows it"

/* Strict inverse; the text must be exactly 16 characters. */
bool keyring_serial_parse(const char *text, uint8_t ret[static 12]);

#endif
