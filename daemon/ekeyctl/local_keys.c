/* SPDX-License-Identifier: MIT */
/*
 * Keys without the daemon: its sources, run in this process over a pool without readers, whose
 * bytes are wiped at the end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/report.h"
#include "backend/sources.h"
#include "backend/usb/usb.h"
#include "daemon/ctl/client.h"
#include "daemon/ekeyctl/key_access.h"
#include "daemon/ekeyctl/keyring_store.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"

#define REPORT_MS 60000 /* two session keys, which last 48 s each */
#define SERIAL_MS 10000 /* from opening a key to its serial number, on a slow machine */
#define ARRIVE_MS 3000  /* until then the keys that are present have been opened */
#define STEP_MS 20
#define CHANGE_MS 60000     /* more than all the tries of backend/ekey/rekey.h */
#define POOL_SIZE (1 << 18) /* more than a key delivers in a minute */

struct local {
	struct key_access access;
	char address[SOURCE_ADDRESS_MAX];
	uint8_t serial[KEYED_SERIAL_LEN];
	struct event_base *base;
	struct usb *usb; /* NULL: no address on USB */
	struct pool *pool;
	struct source_env env; /* the sources' as long as they live */
	struct sources *sources;
	const struct keyring *ring;
	struct keyring new_ring; /* for the proof: the new key alone */
	/* The change: */
	enum rekey_state state;
	const char *why; /* it failed; NULL: it has not */
	uint8_t answer[KEYED_SECRET_LEN];
};

/* ---- the sources ---- */

/* Returns NULL after an error line. --device takes the path of a socket without "unix:" too. */
static struct local *
local_new(const struct tool_options *options, const char *serial)
{
	const char *device = options->device, *error;
	struct local *l = secret_new(sizeof(*l));
	struct stat st;

	if (l == NULL) {
		fprintf(stderr, "ekeyctl: no memory\n");
		return NULL;
	}
	if (serial != NULL && source_address_is_any(device))
		snprintf(l->address, sizeof(l->address), SOURCE_ADDRESS_USB "%s", serial);
	else
		snprintf(l->address, sizeof(l->address), "%s%s",
			 stat(device, &st) == 0 && S_ISSOCK(st.st_mode) ? "unix:" : "", device);
	error = source_address_is_any(l->address) ? NULL : source_address_error(l->address);
	if (error == NULL)
		return l;
	fprintf(stderr, "ekeyctl: --device %s: %s\n", device, error);
	secret_free(l, sizeof(*l));
	return NULL;
}

/* False: no memory. */
static bool
local_start(struct local *l, const struct keyring *ring, const char *keyring_path)
{
	const struct pool_config pool_config = {
		.size = POOL_SIZE, .max_handles = 1, .max_waiters = 1};
	struct source_config config = {.name = "key", .h = HEALTH_H_DEFAULT};

	snprintf(config.address, sizeof(config.address), "%s", l->address);
	l->ring = ring;
	l->base = event_base_new();
	l->pool = pool_new(&pool_config);
	if (l->base == NULL || l->pool == NULL)
		return false;
	if (source_address_is_usb(l->address) && (l->usb = usb_new(l->base)) == NULL)
		return false;
	l->env = (struct source_env){.base = l->base,
				     .usb = l->usb,
				     .pool = l->pool,
				     .keyring = &l->ring,
				     .keyring_path = keyring_path};
	l->sources = sources_new(&l->env, &config);
	return l->sources != NULL;
}

static void
local_close(struct key_access *access)
{
	struct local *l = (struct local *)access;

	sources_free(&l->sources);
	pool_free(&l->pool);
	usb_free(&l->usb);
	if (l->base != NULL)
		event_base_free(l->base);
	secret_free(l, sizeof(*l));
}

/* Returns the status of the first source that is open, else of the last. */
static struct source_status
local_status(const struct local *l)
{
	struct source_status status = {.state = "no Entropy Key is plugged in"};
	const struct source *source;

	for (size_t i = 0; !status.connected && (source = sources_at(l->sources, i)) != NULL; i++)
		source_status(source, &status);
	return status;
}

static bool
local_is_open(const struct local *l)
{
	return local_status(l).connected;
}

/* Runs for `ms`, or until `done` (which may be NULL) is true; returns the latter. */
static bool
local_run(struct local *l, bool (*done)(const struct local *l), uint64_t ms)
{
	uint64_t end_ms = clock_now_ms() + ms;

	while ((done == NULL || !done(l)) && clock_now_ms() < end_ms) {
		const struct timeval step = clock_timeval(STEP_MS);

		event_base_loopexit(l->base, &step);
		event_base_dispatch(l->base);
	}
	return done != NULL && done(l);
}

/* Prints why no source is open, and that the daemon may have the key. */
static enum exit_code
local_absent(const struct local *l, const struct tool_options *options)
{
	const char *prefix = "waiting for ", *state = local_status(l).state;
	struct ctl_connection c;

	if (strncmp(state, prefix, strlen(prefix)) == 0)
		state += strlen(prefix);
	fprintf(stderr, "ekeyctl: %s\n", state);
	if (ctl_open(&c, options->socket) != 0)
		return EXIT_NO_KEY;
	fprintf(stderr, "ekeyctl: ekey-randomd runs and may have this key: omit --device\n");
	ctl_close(&c);
	return EXIT_NO_KEY;
}

/* ---- the report ---- */

static enum exit_code
local_write(const struct local *l, const char *serial, struct evbuffer *report)
{
	enum exit_code code = EXIT_NO_KEY;
	const struct source *source;

	for (size_t i = 0; (source = sources_at(l->sources, i)) != NULL; i++) {
		struct source_status status;

		source_status(source, &status);
		if (serial != NULL && strcmp(serial, status.ekey.serial) != 0)
			continue;
		evbuffer_add_printf(report, "\n");
		report_write(report, source);
		code = EXIT_OK;
	}
	if (code != EXIT_OK)
		fprintf(stderr, "ekeyctl: there is no key %s\n", serial);
	return code;
}

/* A keyring that cannot be read makes the report shorter, and no error. */
enum exit_code
key_access_report(const struct tool_options *options, const char *serial, struct evbuffer *report)
{
	uint64_t ms = options->timeout_ms != UINT64_MAX ? options->timeout_ms : REPORT_MS;
	struct local *l = local_new(options, NULL);
	enum exit_code code = EXIT_NO_KEY;
	struct keyring_store store;

	if (l == NULL)
		return EXIT_USAGE;
	keyring_store_open(&store, options->keyring != NULL ? options->keyring : TOOL_KEYRING_PATH);
	if (store.ring == NULL || !local_start(l, store.ring, store.path)) {
		fprintf(stderr, "ekeyctl: cannot run the sources: no memory or no USB\n");
	} else if (!local_run(l, local_is_open, ARRIVE_MS)) {
		code = local_absent(l, options);
	} else {
		local_run(l, NULL, ms);
		code = local_write(l, serial, report);
	}
	local_close(&l->access);
	keyring_store_close(&store);
	return code;
}

/* ---- a change of the long-term key, with one source ---- */

static bool
local_is_known(const struct local *l)
{
	return local_status(l).ekey.serial[0] != '\0';
}

static bool
local_is_keyed(const struct local *l)
{
	return strcmp(local_status(l).state, session_state_text(SESSION_KEYED)) == 0;
}

static bool
local_has_accepted(const struct local *l)
{
	return l->why != NULL || l->state == REKEY_ACCEPTED;
}

static bool
local_has_changed(const struct local *l)
{
	return l->why != NULL || l->state == REKEY_CHANGED;
}

/* The first failure is the cause. */
static void
local_on_rekey(void *arg, const struct rekey *rekey)
{
	struct local *l = arg;
	enum rekey_state state = rekey->state;

	l->state = state;
	if (state == REKEY_CHANGED)
		memcpy(l->answer, rekey->answer, sizeof(l->answer));
	else if (l->why == NULL && rekey_failed(rekey))
		l->why = rekey_state_text(state);
	else if (l->why == NULL && state == REKEY_CLOSED)
		l->why = "the key was unplugged";
}

static enum exit_code
local_wait(struct local *l, bool (*done)(const struct local *l))
{
	if (!local_run(l, done, CHANGE_MS))
		l->why = rekey_state_text(REKEY_SILENT);
	return l->why != NULL ? key_access_failed(l->why) : EXIT_OK;
}

static enum exit_code
local_rekey(struct key_access *access, const uint8_t mac[static KEYED_MAC_LEN])
{
	struct local *l = (struct local *)access;

	if (!source_rekey(sources_at(l->sources, 0), l->serial, mac, local_on_rekey, l))
		return key_access_failed(rekey_state_text(REKEY_SILENT));
	return local_wait(l, local_has_accepted);
}

static enum exit_code
local_change(struct key_access *access, const uint8_t nonce[static REKEY_NONCE_LEN],
	     uint8_t ret_answer[static KEYED_SECRET_LEN])
{
	struct local *l = (struct local *)access;
	enum exit_code code;

	if (!source_rekey_change(sources_at(l->sources, 0), l->serial, nonce))
		return key_access_failed(rekey_state_text(REKEY_ABANDONED));
	code = local_wait(l, local_has_changed);
	if (code == EXIT_OK)
		memcpy(ret_answer, l->answer, sizeof(l->answer));
	return code;
}

static enum exit_code
local_prove(struct key_access *access, const struct keyring_entry *entry)
{
	struct local *l = (struct local *)access;

	l->new_ring.entries[l->new_ring.len++] = *entry;
	source_keyring_changed(sources_at(l->sources, 0));
	if (local_run(l, local_is_keyed, KEY_ACCESS_PROVE_MS))
		return EXIT_OK;
	return key_access_failed(local_status(l).state);
}

/* Waits for the key of this serial number. */
static enum exit_code
local_find(struct local *l, const struct tool_options *options, const char *serial)
{
	bool known;

	if (!local_run(l, local_is_open, ARRIVE_MS))
		return local_absent(l, options);
	known = local_run(l, local_is_known, SERIAL_MS);
	if (known && strcmp(local_status(l).ekey.serial, serial) == 0)
		return EXIT_OK;
	return key_access_failed(rekey_state_text(known ? REKEY_OTHER : REKEY_SILENT));
}

enum exit_code
key_access_local(const struct tool_options *options, const char *serial, struct key_access **ret)
{
	struct local *l = local_new(options, serial);
	enum exit_code code = EXIT_NO_KEY;

	if (l == NULL)
		return EXIT_USAGE;
	log_set_level(LOG_LEVEL_ERR); /* no warnings that the keyring lacks this key */
	l->access = (struct key_access){local_rekey, local_change, local_prove, local_close};
	(void)keyring_serial_parse(serial, l->serial);
	if (local_start(l, &l->new_ring, TOOL_KEYRING_PATH))
		code = local_find(l, options, serial);
	else
		fprintf(stderr, "ekeyctl: cannot run the sources: no memory or no USB\n");
	if (code == EXIT_OK)
		*ret = &l->access;
	else
		local_close(&l->access);
	return code;
}
