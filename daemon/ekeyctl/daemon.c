/* SPDX-License-Identifier: MIT */
/* The key through the running daemon. */
#include "daemon/ekeyctl/key_access.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/ekey/pem64.h"
#include "backend/ekey/session.h"
#include "daemon/ekeyctl/ctl_call.h"
#include "lib/clock.h"

#define POLL_NS 50000000
#define ORDER_MAX 64

struct daemon {
	struct key_access access;
	struct ctl_connection c;
	char serial[KEYRING_SERIAL_TEXT_LEN + 1];
};

/* ---- the daemon's status ---- */

struct seen {
	const char *serial;
	char keyring[KEY_ACCESS_PATH_MAX];
	char others[CTL_LINE_MAX]; /* serial numbers that are plugged in */
	char state[CTL_LINE_MAX];  /* of the source whose rows come */
	bool connected;            /* the same */
	bool found, keyed;         /* the key with our serial number */
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

/* The rows of a source come in this order: state, connected, serial. */
static void
see_row(void *arg, char *text)
{
	struct seen *seen = arg;
	struct status_row row;

	if (!ctl_call_cut_row(text, &row))
		return;
	if (strcmp(row.kind, "daemon") == 0 && strcmp(row.key, "keyring") == 0)
		snprintf(seen->keyring, sizeof(seen->keyring), "%s", row.value);
	if (strcmp(row.kind, "source") != 0)
		return;
	if (strcmp(row.key, "state") == 0)
		snprintf(seen->state, sizeof(seen->state), "%s", row.value);
	else if (strcmp(row.key, "connected") == 0)
		seen->connected = strcmp(row.value, "yes") == 0;
	else if (strcmp(row.key, "serial") == 0 && strcmp(row.value, "-") != 0)
		see_serial(seen, row.value);
}

static enum exit_code
look(struct ctl_connection *c, const char *serial, struct seen *ret)
{
	*ret = (struct seen){.serial = serial};
	return ctl_call(c, "Status", see_row, ret);
}

/* ---- the change ---- */

enum exit_code
key_access_failed(const char *why)
{
	bool refused = strcmp(why, rekey_state_text(REKEY_REFUSED)) == 0 ||
		       strcmp(why, rekey_state_text(REKEY_LOCKED)) == 0;

	fprintf(stderr, "ekeyctl: %s\n", why);
	return refused ? EXIT_REFUSED : EXIT_NO_KEY;
}

static enum exit_code
order(struct key_access *access, const char *name, const uint8_t *bytes, size_t len,
      ctl_call_row *row, void *arg)
{
	struct daemon *d = (struct daemon *)access;
	char command[ORDER_MAX] = "";
	size_t used = (size_t)snprintf(command, sizeof(command), "%s %s ", name, d->serial);
	enum exit_code code;

	pem64_encode(bytes, len, command + used); /* at most 45 characters in all */
	ctl_set_timeout(&d->c, CTL_CLIENT_PATIENCE_S);
	code = ctl_call_quietly(&d->c, command, row, arg);
	ctl_set_timeout(&d->c, CTL_CLIENT_TIMEOUT_S);
	return code == EXIT_ERROR_REPLY ? key_access_failed(ctl_error(&d->c)) : code;
}

static enum exit_code
daemon_start(struct key_access *access, const uint8_t mac[static KEYED_MAC_LEN])
{
	return order(access, "RekeyStart", mac, KEYED_MAC_LEN, NULL, NULL);
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
daemon_change(struct key_access *access, const uint8_t nonce[static REKEY_NONCE_LEN],
	      uint8_t ret_answer[static KEYED_SECRET_LEN])
{
	struct answer answer = {.bytes = ret_answer};
	enum exit_code code =
		order(access, "RekeyFinish", nonce, REKEY_NONCE_LEN, take_answer, &answer);

	if (code == EXIT_OK && answer.len != KEYED_SECRET_LEN)
		code = key_access_failed(rekey_state_text(REKEY_LOST));
	return code;
}

static enum exit_code
daemon_prove(struct key_access *access, const struct keyring_entry *entry)
{
	static const struct timespec pause = {.tv_nsec = POLL_NS};
	struct daemon *d = (struct daemon *)access;
	uint64_t end_ms = clock_now_ms() + KEY_ACCESS_PROVE_MS;
	enum exit_code code = ctl_call(&d->c, "Keyring", NULL, NULL);
	struct seen seen;

	(void)entry; /* the daemon reads the keyring */
	while (code == EXIT_OK && (code = look(&d->c, d->serial, &seen)) == EXIT_OK) {
		if (seen.keyed)
			return EXIT_OK;
		if (clock_now_ms() >= end_ms)
			return key_access_failed("the key has no session yet: see ekeyctl status");
		nanosleep(&pause, NULL);
	}
	return code;
}

/* ---- life ---- */

static void
daemon_close(struct key_access *access)
{
	struct daemon *d = (struct daemon *)access;

	ctl_close(&d->c);
	free(d);
}

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
		"ekeyctl: the daemon's keyring is %s, not %s: omit --keyring, or stop the"
		" daemon and use --device\n",
		seen->keyring, options->keyring);
	return EXIT_KEYRING;
}

enum exit_code
key_access_daemon(const struct tool_options *options, const char *serial, struct key_access **ret)
{
	struct daemon *d = calloc(1, sizeof(*d));
	enum exit_code code =
		d != NULL ? ctl_call_open(&d->c, options->socket) : EXIT_CANNOT_CONNECT;
	struct seen seen;

	if (code != EXIT_OK) {
		free(d);
		return code;
	}
	d->access = (struct key_access){daemon_start, daemon_change, daemon_prove, daemon_close};
	snprintf(d->serial, sizeof(d->serial), "%s", serial);
	code = look(&d->c, serial, &seen);
	if (code == EXIT_OK)
		code = check(options, serial, &seen);
	if (code == EXIT_OK)
		*ret = &d->access;
	else
		daemon_close(&d->access);
	return code;
}

void
key_access_keyring(const struct tool_options *options, char ret[static KEY_ACCESS_PATH_MAX])
{
	const char *path = options->keyring != NULL ? options->keyring : TOOL_KEYRING_PATH;
	struct ctl_connection c;
	struct seen seen;

	snprintf(ret, KEY_ACCESS_PATH_MAX, "%s", path);
	if (options->keyring != NULL || options->device != NULL ||
	    ctl_open(&c, options->socket) != 0)
		return;
	if (look(&c, "", &seen) == EXIT_OK && seen.keyring[0] != '\0')
		snprintf(ret, KEY_ACCESS_PATH_MAX, "%s", seen.keyring);
	ctl_close(&c);
}
