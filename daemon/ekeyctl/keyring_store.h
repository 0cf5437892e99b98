/* SPDX-License-Identifier: MIT */
/* The keyring file, as ekeyctl reads and writes it. Errors are printed on stderr. */
#ifndef DAEMON_EKEYCTL_KEYRING_STORE_H
#define DAEMON_EKEYCTL_KEYRING_STORE_H

#include "backend/ekey/keyring.h"
#include "daemon/ekeyctl/tool.h"
#include "lib/atomic_file.h"
#include "lib/file.h"

struct keyring_store {
	const char *path;
	struct file_text file; /* as it was read */
	struct keyring *ring;  /* its keys; secret */
	struct keyring_errors errors;
	struct atomic_file replace;
	char *text; /* room for its new text; secret */
	size_t text_cap;
};

/*
 * Reads it; a missing file is an empty keyring, a bad line costs its key only. EXIT_OK or
 * EXIT_KEYRING; to be closed after either.
 */
enum exit_code keyring_store_open(struct keyring_store *s, const char *path);

/*
 * Proves that this key's line can be stored: all present lines are valid, and as many bytes are
 * written to a file beside it, on the disk.
 */
enum exit_code keyring_store_prove(struct keyring_store *s,
				   const uint8_t serial[static KEYED_SERIAL_LEN]);

/* Stores the entry, after keyring_store_prove(). EXIT_OK or EXIT_NOT_STORED. */
enum exit_code keyring_store_put(struct keyring_store *s, const struct keyring_entry *entry);

/* Wipes, and removes the file beside it. */
void keyring_store_close(struct keyring_store *s);

#endif
