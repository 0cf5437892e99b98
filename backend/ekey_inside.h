/* SPDX-License-Identifier: MIT */
/* Shared by ekey.c, which lives and waits, and ekey_flow.c, through which the key's bytes go. */
#ifndef BACKEND_EKEY_INSIDE_H
#define BACKEND_EKEY_INSIDE_H

#include "backend/ladder.h"
#include "backend/link.h"
#include "backend/rekeying.h"
#include "backend/source_kind.h"
#include "backend/source_log.h"

struct ekey {
	struct source source;
	struct source_env env;
	struct source_config config;
	struct link link;
	uint8_t want_serial[KEYED_SERIAL_LEN];
	struct session_env session_env;
	struct session session;
	struct intake intake;
	struct rekeying rekeying; /* while it is active it has the key, and the session is closed */
	struct source_log log;
	struct ladder ladder;
	struct event *timer;
	uint64_t timer_ms; /* when it fires; UINT64_MAX: not armed */
	/*
	 * Entropy may come: room for it must be had before the next frame is read. Not before, so
	 * that a key is greeted while the pool is full. (The first block comes with KEYED itself;
	 * the intake then starts up, and holds it.)
	 */
	bool keyed;
	bool paused;            /* the pool is full */
	uint64_t rest_until_ms; /* UINT64_MAX: not resting */
	uint64_t undecoded_bytes;
};

/* ---- ekey.c ---- */

/* Arms the timer for what is due next. */
void ekey_arm(struct ekey *k, uint64_t now_ms);

/* The key's serial as text: what it told last, or where it is looked for. */
const char *ekey_serial(const struct ekey *k);

/* ---- ekey_flow.c ---- */

/* Decodes what the key has sent as far as the pool has room; returns how many bytes that took. */
size_t ekey_take(struct ekey *k, const uint8_t *bytes, size_t len);

/* As link_events.bytes. */
size_t ekey_on_bytes(void *arg, const uint8_t *bytes, size_t len);

/* As source_kind. */
void ekey_room(struct source *source);
void ekey_wanted(struct source *source);

/* Reads what has come together while it rested. */
void ekey_wake(struct ekey *k);

/* The key has come or gone, or its session has begun or ended. */
void ekey_tell_presence(const struct ekey *k);

/* The key has said what it thinks of us. */
bool ekey_is_answer(enum session_state state);

/* The session and all that hangs on it. */
void ekey_begin_session(struct ekey *k);
void ekey_end_session(struct ekey *k);

/* After a change of the long-term key, or a vain attempt at it. */
void ekey_back_to_session(struct ekey *k);

#endif
