/* SPDX-License-Identifier: MIT */
#include "backend/source_log.h"

#include <stdio.h>
#include <string.h>

#include "lib/log.h"

void
source_log_alarm(const struct source_log *l, const char *serial)
{
	if (serial[0] == '\0')
		log_warn("source %s: %s is open, but no Entropy Key answers; retrying", l->name,
			 l->address);
	else
		log_err("source %s: key %s does not answer: unplug it and plug it in again",
			l->name, serial);
}

void
source_log_answers(const struct source_log *l, const char *serial)
{
	log_info("source %s: key %s answers again", l->name, serial);
}

/* A re-key every 48 seconds, or one more try with the same outcome, is no news. */
static bool
source_log_is_news(const struct source_log *l, enum session_state state, const char *serial)
{
	switch (state) {
	case SESSION_CLOSED:
	case SESSION_IDENTIFIED:
	case SESSION_REKEYING:
		return false;
	case SESSION_RESETTING:
		return l->state == SESSION_KEYED;
	default:
		return l->state != state || strcmp(l->serial, serial) != 0;
	}
}

void
source_log_state(struct source_log *l, enum session_state state, const char *serial)
{
	if (!source_log_is_news(l, state, serial))
		return;
	l->state = state;
	snprintf(l->serial, sizeof(l->serial), "%s", serial);
	if (state == SESSION_KEYED)
		log_info("source %s: key %s: in session, entropy flows", l->name, serial);
	else if (state == SESSION_RESETTING)
		log_warn("source %s: key %s: no authentic frame comes; restarting its session",
			 l->name, serial);
	else if (state == SESSION_UNKNOWN_KEY)
		log_warn("source %s: key %s: its long-term key is not in the keyring %s: have its"
			 " card at hand and run: ekeyctl rekey %s",
			 l->name, serial, l->keyring_path, serial);
	else if (state == SESSION_WRONG_KEY)
		log_warn("source %s: key %s: its long-term key in the keyring %s is wrong: have its"
			 " card at hand and run: ekeyctl rekey %s",
			 l->name, serial, l->keyring_path, serial);
	else
		log_warn("source %s: key %s: %s", l->name, serial, session_state_text(state));
}

void
source_log_rekey(const struct source_log *l, enum rekey_state state)
{
	if (state == REKEY_RESETTING)
		log_info("source %s: changing the key's long-term key, as ordered", l->name);
	else if (state == REKEY_CHANGED)
		log_info("source %s: the long-term key is changed", l->name);
	else if (state >= REKEY_REFUSED)
		log_warn("source %s: changing the long-term key: %s", l->name,
			 rekey_state_text(state));
}

void
source_log_health(const char *name, const struct intake *intake)
{
	const char *state = intake_state_text(intake->state);

	if (intake->state != INTAKE_QUARANTINE)
		log_info("source %s: %s", name, state);
	else if (intake->cause == INTAKE_CAUSE_BADNESS)
		log_warn("source %s: %s: the key reports: %s; its bytes are not used until it"
			 " recovers (a power cycle clears its fail mode)",
			 name, state, telemetry_badness_text(intake->badness));
	else
		log_warn("source %s: %s: %s; its bytes are not used", name, state,
			 intake_cause_text(intake->cause));
}
