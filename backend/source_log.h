/* SPDX-License-Identifier: MIT */
/* A source's log lines: each change once, with its name, its key and the cure. */
#ifndef BACKEND_SOURCE_LOG_H
#define BACKEND_SOURCE_LOG_H

#include "backend/ekey/rekey.h"
#include "backend/ekey/session.h"
#include "pool/intake.h"

/* Its names, and the state that was logged last; the latter starts as zeros. */
struct source_log {
	const char *name, *address, *keyring_path;
	enum session_state state; /* SESSION_CLOSED: none for this key yet */
	char serial[KEYRING_SERIAL_TEXT_LEN + 1];
};

/* The device is open, but does not answer. `serial`: "" when no key ever answered there. */
void source_log_alarm(const struct source_log *l, const char *serial);

/* The key answers again, after an alarm. */
void source_log_answers(const struct source_log *l, const char *serial);

/* `serial`: as text, "" before it is known. */
void source_log_state(struct source_log *l, enum session_state state, const char *serial);

/* A new state of a change of the long-term key. */
void source_log_rekey(const struct source_log *l, enum rekey_state state);

/* `name`: of the source, of any type. */
void source_log_health(const char *name, const struct intake *intake);

#endif
