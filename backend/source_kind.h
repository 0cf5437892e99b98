/* SPDX-License-Identifier: MIT */
/*
 * The base of all sources, and what a type of source adds to it. Only for source.c and the files of
 * the types. A new type is a file with its struct source_kind, its lines in source_types.c, and its
 * value and figures in source.h.
 */
#ifndef BACKEND_SOURCE_KIND_H
#define BACKEND_SOURCE_KIND_H

#include "backend/source.h"
#include "backend/transport/link.h"
#include "backend/trust.h"

/* For the kernel's generator, of a source that is not trusted. */
#define SOURCE_MIX_LEN 64   /* bytes... */
#define SOURCE_MIX_MS 60000 /* ... as often as that generator takes in its input */

/* Each type embeds it as its first member. */
struct source {
	const struct source_kind *kind;
	struct source_env env;
	struct source_config config;
	struct link link;
	struct intake
		intake; /* an EGD server's is kept across connections: held bytes are scarce */
	struct trust trust;
	struct event *timer;
	uint64_t timer_ms; /* when it fires; UINT64_MAX: not armed */
	bool served;       /* as last reported by source_note_serves() */
	bool paused;       /* the pool is full: nothing is read */
};

/* Functions as in source.h, unless said otherwise; those after `status` may be NULL. */
struct source_kind {
	size_t size; /* bytes of its struct, which begins as zeros */
	bool needs_keyring;
	bool any_file;   /* transport_env.any_file */
	unsigned credit; /* bits per byte, by default */
	const struct trust_doubt
		*doubt; /* NULL: trusted by default, unless its bytes are exposed */
	const char *(*check)(const struct source_config *config);
	struct link_events events; /* `arg` is the source */
	/* When timer_fired() is due at the latest while the link is open; UINT64_MAX: never. */
	uint64_t (*due)(const struct source *source, uint64_t now_ms);
	void (*timer_fired)(struct source *source, uint64_t now_ms);
	/* The pool has room. */
	void (*room)(struct source *source, uint64_t now_ms);
	void (*renew)(struct source *source);
	bool (*serves)(const struct source *source);
	const char *(*state_text)(const struct source *source); /* while the link is open */
	/* Adds its own figures to those that all types have. */
	void (*status)(const struct source *source, struct source_status *ret);
	void (*rows)(const struct source_status *status, source_row_fn *fn, void *arg);
	/* Before the link starts; it cannot fail. */
	void (*init)(struct source *source);
	/* Before the link is closed. */
	void (*stop)(struct source *source);
	void (*wanted)(struct source *source, uint64_t now_ms);
	void (*stand_by)(struct source *source, bool on);
	void (*keyring_changed)(struct source *source);
	bool (*rekey)(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		      const uint8_t mac[static KEYED_MAC_LEN], source_rekey_fn *fn, void *arg);
	bool (*rekey_change)(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
			     const uint8_t nonce[static REKEY_NONCE_LEN]);
};

extern const struct source_kind source_ekey; /* ekey.c: an Entropy Key */
extern const struct source_kind source_egd;  /* egd.c: an EGD server */
extern const struct source_kind source_raw;  /* raw.c: a device, FIFO or socket */

/* As source_new(). */
struct source *source_new_of(const struct source_kind *kind, const struct source_env *env,
			     const struct source_config *config);

/*
 * Arms the timer for what is due next. Deadlines move away with every frame: the timer stays as it
 * is then, and looks again when it fires. With nothing due it is off.
 */
void source_arm(struct source *source, uint64_t now_ms);

/* Reports that the source has come or gone, or that source_kind.serves has changed. */
void source_note_presence(struct source *source);

/* As source_note_presence(), when source_kind.serves has changed since the last call. */
void source_note_serves(struct source *source);

/* Stops reading until source_kind.room() resumes it. */
void source_pause(struct source *source);

/* Reading goes on from the event loop, with the bytes that were not taken. */
void source_resume(struct source *source);

/*
 * Passes bytes on as trust allows: through the intake into the pool, for which it must have room,
 * or to the kernel's generator. The credit is noted first: the bytes may be with the kernel before
 * this returns.
 */
void source_put(struct source *source, const uint8_t *bytes, size_t len, uint64_t now_ms);

#endif
