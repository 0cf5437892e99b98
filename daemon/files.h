/* SPDX-License-Identifier: MIT */
/* Reads the configuration and the keyring from their files; errors are in the log. */
#ifndef DAEMON_FILES_H
#define DAEMON_FILES_H

#include <stdbool.h>

#include "backend/ekey/keyring.h"
#include "daemon/config.h"

/* Whether two paths are in one directory. */
bool files_are_together(const char *a, const char *b);

/* Returns 0 when a directory is there, or -errno. */
int files_look_for(const char *directory);

/* False after one line "FILE:LINE: ..." for each error; *ret is then not touched. */
bool files_read_config(const char *path, struct config *ret);

/*
 * Returns the configured ring in secret memory, to be freed with files_free_keyring(). A missing
 * file is an empty ring, with a line about the cure where a source is an Entropy Key. NULL after a
 * line with the error.
 */
struct keyring *files_read_keyring(const struct config *config);

/* NULLs the pointer. */
void files_free_keyring(struct keyring **ring);

#endif
