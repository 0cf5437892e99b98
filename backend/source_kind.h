/* SPDX-License-Identifier: MIT */
/* What a type of source does: for source.c, which knows them all, and for them. */
#ifndef BACKEND_SOURCE_KIND_H
#define BACKEND_SOURCE_KIND_H

#include "backend/source.h"

/* Each type embeds it as its first member. */
struct source {
	const struct source_kind *kind;
};

/* Functions as in source.h. */
struct source_kind {
	struct source *(*new)(const struct source_env *env, const struct source_config *config);
	void (*free)(struct source *source);
	void (*room)(struct source *source);
	void (*wanted)(struct source *source);
	void (*renew)(struct source *source);
	void (*status)(const struct source *source, struct source_status *ret);
	void (*stand_by)(struct source *source, bool on); /* may be NULL */
	/* NULL in all that have no keyring. */
	void (*keyring_changed)(struct source *source);
	bool (*rekey)(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		      const uint8_t mac[static KEYED_MAC_LEN], rekeying_fn *fn, void *arg);
	bool (*rekey_change)(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
			     const uint8_t nonce[static REKEY_NONCE_LEN]);
	/* May be NULL. */
	void (*describe)(const struct source *source, char *ret, size_t cap);
};

extern const struct source_kind source_ekey; /* ekey.c: an Entropy Key */
extern const struct source_kind source_egd;  /* egd.c: an EGD server */

/*
 * Before an intake_put(): who feeds the pool decides what its bytes are worth, and they may be with
 * the kernel before it returns.
 */
void source_note_credit(const struct source_env *env, unsigned credit);

#endif
