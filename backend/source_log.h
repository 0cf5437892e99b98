/* SPDX-License-Identifier: MIT */
/* What a source says in the log: each change once, with its name, its key and the cure. */
#ifndef BACKEND_SOURCE_LOG_H
#define BACKEND_SOURCE_LOG_H

#include "ekey/rekey.h"
#include "ekey/session.h"
#include "pool/intake.h"

/* What was said last; set the first three, the rest starts as zeros. */
struct source_log {
	const char *name, *address, *keyring_path;
	enum session_state state; /* SESSION_CLOSED: nothing about this key yet */
	char serial[KEYRING_SERIAL_TEXT_LEN + 1];
};

/*
 * Open, but nobody answers, and it is for somebody to do something about it. `serial`: "" when no
 * key ever answered there.
 */
void source_log_alarm(const struct source_log *l, const char *serial);

/* ... and it answers again. */
void source_log_answers(const struct source_log *l, const char *serial);

/* `serial`: as text, "" before it is known. */
void source_log_state(struct source_log *l, enum session_state state, const char *serial);

/* The long-term key of the source's key is being changed. */
void source_log_rekey(const struct source_log *l, enum rekey_state state);

void source_log_health(const struct source_log *l, const struct intake *intake);

#endif
