/* SPDX-License-Identifier: MIT */
/*
 * The sections of the configuration that have keys, and the directories of their files, which are
 * all that this process can read once it is sealed.
 */
#ifndef EGD_TLS_SECTIONS_H
#define EGD_TLS_SECTIONS_H

#include "lib/priv/tls_channel.h"
#include "lib/tls/tls.h"

#define SECTIONS_DIRECTORIES (4 * TLS_SECTIONS_MAX) /* four files of each section */

struct section {
	struct tls_keys keys;        /* .section "": this entry is free */
	struct tls_context *context; /* of a server; NULL: its files could not be read yet */
	bool named;                  /* since the last TLS_END */
};

struct sections {
	struct section at[TLS_SECTIONS_MAX];
	char directories[SECTIONS_DIRECTORIES][TLS_PATH_MAX]; /* "": the end */
	bool sealed;
};

/*
 * Reads a section's files, and fills in the answer to TLS_KEYS. Returns the section if it has a new
 * context, for connections_end_revoked(); else NULL.
 */
struct section *sections_load(struct sections *s, const struct tls_keys *keys,
			      struct tls_answer *ret);

/* NULL: there is none of that name. */
struct section *sections_find(struct sections *s, const char *name);

/*
 * Reads the files; `peer_name` is the name that the certificate of a server must have. NULL with
 * the cause in `error`. The context is the caller's.
 */
struct tls_context *sections_read(const struct tls_keys *keys, const char *peer_name,
				  char error[static TLS_ERROR_MAX]);

/* Frees the entry. */
void section_finish(struct section *section);

/*
 * Gives up all files but those below the directories, which can only be read, and all system calls
 * but those of a table, for good. A kernel without Landlock (before 5.13) has only the modes of
 * files. False after a line in the log.
 */
bool sections_seal(struct sections *s);

#endif
