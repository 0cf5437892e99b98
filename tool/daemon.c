/* SPDX-License-Identifier: MIT */
#include "tool/daemon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "crypto/pem64.h"
#include "ekey/session.h"
#include "tool/ask.h"

#define POLL_NS 50000000
#define ORDER_MAX 64

struct daemon {
	struct reach reach;
	struct ctl_connection c;
	char serial[KEYRING_SERIAL_TEXT_LEN + 1];
};

/* ---- what the daemon's status says ---- */

/* What we look for in its rows. */
struct seen {
	const char *serial;
	char keyring[DAEMON_PATH_MAX];
	char others[CTL_LINE_MAX]; /* serial numbers that are plugged in */
	char state[CTL_LINE_MAX];  /* of the source that the rows are about */
	bool connected;            /* the same */
	bool found, keyed;         /* our key */
};

static void
see_serial(struct seen *seen, const char *serial)
{
	size_t len = strlen(seen->others);

	if (!seen->connected)
		return;
	snprintf(seen->others + len, sizeof(seen->others) - len, " %s", serial);
	if (strcmp(serial, seen->serial) != 0)
		return;
	seen->found = true;
	seen->keyed = strcmp(seen->state, session_state_text(SESSION_KEYED)) == 0;
}

/* A source's rows come in this order: state, connected, serial. */
static void
see_row(void *arg, char *row)
{
	struct seen *seen = arg;
	const char *kind = strsep(&row, "\t"), *key, *value;

	strsep(&row, "\t");
	key = strsep(&row, "\t");
	value = row;
	if (value == NULL)
		return;
	if (strcmp(kind, "daemon") == 0 && strcmp(key, "keyring") == 0)
		snprintf(seen->keyring, sizeof(seen->keyring), "%s", value);
	if (strcmp(kind, "source") != 0)
		return;
	if (strcmp(key, "state") == 0)
		snprintf(seen->state, sizeof(seen->state), "%s", value);
	else if (strcmp(key, "connected") == 0)
		seen->connected = strcmp(value, "yes") == 0;
	else if (strcmp(key, "serial") == 0 && strcmp(value, "-") != 0)
		see_serial(seen, value);
}

static enum exit_code
look(struct ctl_connection *c, const char *serial, struct seen *ret)
{
	*ret = (struct seen){.serial = serial};
	return ask(c, "Status", see_row, ret);
}

/* ---- the orders ---- */

/* The daemon's refusal of an order is the key's, or says that it is not there. */
static enum exit_code
order(struct daemon *d, const char *name, const uint8_t *bytes, size_t len,
      void (*row)(void *arg, char *row), void *arg)
{
	char command[ORDER_MAX] = "";
	size_t used = (size_t)snprintf(command, sizeof(command), "%s %s ", name, d->serial);
	enum exit_code code;

	pem64_encode(bytes, len, command + used); /* the longest order is 45 characters long */
	ctl_set_timeout(&d->c, CTL_CLIENT_PATIENCE_S);
	code = ask_quietly(&d->c, command, row, arg);
	ctl_set_timeout(&d->c, CTL_CLIENT_TIMEOUT_S);
	return code == EXIT_ERROR_REPLY ? reach_failed(ctl_error(&d->c)) : code;
}

static enum exit_code
daemon_start(struct reach *reach, const uint8_t mac[static KEYED_MAC_LEN])
{
	return order((struct daemon *)reach, "RekeyStart", mac, KEYED_MAC_LEN, NULL, NULL);
}

struct answer {
	uint8_t *bytes;
	size_t len;
};

static void
take_answer(void *arg, char *row)
{
	struct answer *answer = arg;

	if (!pem64_decode(row, strlen(row), KEYED_SECRET_LEN, answer->bytes, &answer->len))
		answer->len = 0;
}

static enum exit_code
daemon_change(struct reach *reach, const uint8_t nonce[static REKEY_NONCE_LEN],
	      uint8_t ret_answer[static KEYED_SECRET_LEN])
{
	struct answer answer = {.bytes = ret_answer};
	enum exit_code code = order((struct daemon *)reach, "RekeyFinish", nonce, REKEY_NONCE_LEN,
				    take_answer, &answer);

	if (code == EXIT_OK && answer.len != KEYED_SECRET_LEN)
		code = reach_failed(rekey_state_text(REKEY_LOST));
	return code;
}

static enum exit_code
daemon_prove(struct reach *reach, const struct keyring_entry *entry)
{
	static const struct timespec pause = {.tv_nsec = POLL_NS};
	struct daemon *d = (struct daemon *)reach;
	uint64_t end_ms = clock_now_ms() + REACH_PROVE_MS;
	enum exit_code code = ask(&d->c, "Keyring", NULL, NULL);
	struct seen seen;

	(void)entry; /* the daemon has read it by itself */
	while (code == EXIT_OK && (code = look(&d->c, d->serial, &seen)) == EXIT_OK) {
		if (seen.keyed)
			return EXIT_OK;
		if (clock_now_ms() >= end_ms)
			return reach_failed("it has not begun a session yet: see ekeyctl status");
		nanosleep(&pause, NULL);
	}
	return code;
}

/* ---- life ---- */

static void
daemon_close(struct reach *reach)
{
	struct daemon *d = (struct daemon *)reach;

	if (d == NULL)
		return;
	ctl_close(&d->c);
	free(d);
}

static const struct reach_kind daemon_kind = {daemon_start, daemon_change, daemon_prove,
					      daemon_close};

static enum exit_code
check(const struct tool_options *options, const char *serial, const struct seen *seen)
{
	if (!seen->found) {
		fprintf(stderr, "ekeyctl: the daemon has no key %s; plugged in:%s\n", serial,
			seen->others[0] != '\0' ? seen->others : " none");
		return EXIT_NO_KEY;
	}
	if (options->keyring == NULL || strcmp(options->keyring, seen->keyring) == 0)
		return EXIT_OK;
	fprintf(stderr,
		"ekeyctl: the daemon's keyring is %s, not %s: leave --keyring out, or stop the"
		" daemon and use --device\n",
		seen->keyring, options->keyring);
	return EXIT_KEYRING;
}

enum exit_code
daemon_reach(const struct tool_options *options, const char *serial, struct reach **ret_reach)
{
	struct daemon *d = calloc(1, sizeof(*d));
	enum exit_code code = d != NULL ? ask_open(&d->c, options->socket) : EXIT_CANNOT_CONNECT;
	struct seen seen;

	if (code != EXIT_OK) {
		free(d);
		return code;
	}
	d->reach.kind = &daemon_kind;
	snprintf(d->serial, sizeof(d->serial), "%s", serial);
	code = look(&d->c, serial, &seen);
	if (code == EXIT_OK)
		code = check(options, serial, &seen);
	if (code == EXIT_OK)
		*ret_reach = &d->reach;
	else
		daemon_close(&d->reach);
	return code;
}

void
daemon_keyring_path(const struct tool_options *options, char ret[static DAEMON_PATH_MAX])
{
	const char *path = options->keyring != NULL ? options->keyring : TOOL_KEYRING_PATH;
	struct ctl_connection c;
	struct seen seen;

	snprintf(ret, DAEMON_PATH_MAX, "%s", path);
	if (options->keyring != NULL || options->device != NULL ||
	    ctl_open(&c, options->socket) != 0)
		return;
	if (look(&c, "", &seen) == EXIT_OK && seen.keyring[0] != '\0')
		snprintf(ret, DAEMON_PATH_MAX, "%s", seen.keyring);
	ctl_close(&c);
}
