/* SPDX-License-Identifier: MIT */
/* The keyring file in the hands of ekeyctl. What goes wrong is said on stderr. */
#ifndef TOOL_STORE_H
#define TOOL_STORE_H

#include "base/file.h"
#include "base/replace.h"
#include "ekey/keyring.h"
#include "tool/tool.h"

struct store {
	const char *path;
	struct file_text file; /* as it was read */
	struct keyring *ring;  /* what it says; secret */
	struct keyring_errors errors;
	struct replace replace;
	char *text; /* room for what it will say; secret */
	size_t text_cap;
};

/*
 * Reads it; one that is missing is empty, a bad line costs its key only. EXIT_OK or EXIT_KEYRING;
 * to be closed after either.
 */
enum exit_code store_open(struct store *s, const char *path);

/*
 * Proves that this key's line can be put in: each line that is there is good, and as much is
 * written beside the file, to the disk.
 */
enum exit_code store_prove(struct store *s, const uint8_t serial[static KEYED_SERIAL_LEN]);

/* After store_prove(): puts the entry in. EXIT_OK or EXIT_NOT_STORED. */
enum exit_code store_put(struct store *s, const struct keyring_entry *entry);

/* Wipes, and leaves no trace beside the file. */
void store_close(struct store *s);

#endif
