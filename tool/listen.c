/* SPDX-License-Identifier: MIT */
/*
 * The daemon's own sources, over a pool that nobody reads: what they bring is wiped at the end. A
 * keyring that cannot be read is no hindrance; a key has much to tell before its session.
 */
#include "tool/listen.h"

#include <stdio.h>
#include <string.h>

#include "backend/report.h"
#include "backend/source_address.h"
#include "backend/sources.h"
#include "backend/usb.h"
#include "base/clock.h"
#include "base/num.h"
#include "ctl/client.h"
#include "tool/device.h"
#include "tool/store.h"

#define LISTEN_MS 60000 /* session keys change each 48 s: two of them */
#define LISTEN_MAX_MS 3600000
#define ARRIVE_MS 3000             /* until then what is there has been opened */
#define LISTEN_POOL_SIZE (1 << 18) /* a minute of a key, and more */

struct listen {
	struct event_base *base;
	struct usb *usb;
	struct pool *pool;
	struct source_env env; /* the sources' as long as they live */
	struct sources *sources;
	struct store store;
	const struct keyring *ring; /* the store's */
};

/* False: no memory. */
static bool
listen_start(struct listen *l, const struct tool_options *options, const char *address)
{
	const struct pool_config pool_config = {
		.size = LISTEN_POOL_SIZE, .max_handles = 1, .max_waiters = 1};
	struct source_config config = {.name = "key", .h = HEALTH_H_DEFAULT};

	snprintf(config.address, sizeof(config.address), "%s", address);
	l->base = event_base_new();
	l->usb = l->base != NULL ? usb_new(l->base) : NULL;
	l->pool = pool_new(&pool_config);
	store_open(&l->store, options->keyring != NULL ? options->keyring : TOOL_KEYRING_PATH);
	if (l->usb == NULL || l->pool == NULL || l->store.ring == NULL)
		return false;
	l->env = (struct source_env){.base = l->base,
				     .usb = l->usb,
				     .pool = l->pool,
				     .keyring = &l->ring,
				     .keyring_path = l->store.path};
	l->ring = l->store.ring;
	l->sources = sources_new(&l->env, &config);
	return l->sources != NULL;
}

static void
listen_stop(struct listen *l)
{
	sources_free(&l->sources);
	pool_free(&l->pool);
	usb_free(&l->usb);
	store_close(&l->store);
	if (l->base != NULL)
		event_base_free(l->base);
}

static void
listen_for(struct listen *l, uint64_t ms)
{
	const struct timeval wait = clock_timeval(ms);

	event_base_loopexit(l->base, &wait);
	event_base_dispatch(l->base);
}

static void
listen_say_why(const struct tool_options *options, const char *why)
{
	struct ctl_connection c;

	fprintf(stderr, "ekeyctl: %s\n", why);
	if (ctl_open(&c, options->socket) != 0)
		return;
	fprintf(stderr, "ekeyctl: ekey-randomd runs, and may have it: leave --device out\n");
	ctl_close(&c);
}

/* True when there is somebody; else says what keeps them away. */
static bool
listen_hears(const struct listen *l, const struct tool_options *options)
{
	struct source_status status = {.state = "no Entropy Key is plugged in"};
	const struct source *source;

	for (size_t i = 0; (source = sources_at(l->sources, i)) != NULL; i++) {
		source_status(source, &status);
		if (status.connected)
			return true;
	}
	listen_say_why(options, status.state);
	return false;
}

static bool
listen_report(const struct listen *l, const char *serial, struct evbuffer *report)
{
	const struct source *source;
	bool found = false;

	for (size_t i = 0; (source = sources_at(l->sources, i)) != NULL; i++) {
		struct source_status status;

		source_status(source, &status);
		if (serial != NULL && strcmp(serial, status.ekey.serial) != 0)
			continue;
		evbuffer_add_printf(report, "\n");
		report_write(report, source);
		found = true;
	}
	return found;
}

static enum exit_code
listen_run(struct listen *l, const struct tool_options *options, uint64_t ms, const char *serial,
	   struct evbuffer *report)
{
	listen_for(l, ms < ARRIVE_MS ? ms : ARRIVE_MS);
	if (!listen_hears(l, options))
		return EXIT_NO_KEY;
	if (ms > ARRIVE_MS)
		listen_for(l, ms - ARRIVE_MS);
	if (listen_report(l, serial, report))
		return EXIT_OK;
	fprintf(stderr, "ekeyctl: there is no key %s\n", serial);
	return EXIT_NO_KEY;
}

static bool
is_good(const struct tool_options *options, const char *address, uint64_t *ret_ms)
{
	const char *wrong = source_address_is_any(address) ? NULL : source_address_error(address);

	if (wrong == NULL && options->timeout != NULL &&
	    !num_parse_duration(options->timeout, LISTEN_MAX_MS, ret_ms))
		wrong = "for --timeout a time such as 60s is needed";
	if (wrong != NULL)
		fprintf(stderr, "ekeyctl: --device %s: %s\n", options->device, wrong);
	return wrong == NULL;
}

enum exit_code
listen_to_keys(const struct tool_options *options, const char *serial, struct evbuffer *report)
{
	struct listen l = {.store = {.replace = {.dir = -1, .fd = -1}}};
	char address[SOURCE_ADDRESS_MAX];
	uint64_t ms = LISTEN_MS;
	enum exit_code code = EXIT_NO_KEY;

	snprintf(address, sizeof(address), "%s%s", device_is_socket(options->device) ? "unix:" : "",
		 options->device);
	if (!is_good(options, address, &ms))
		return EXIT_USAGE;
	if (listen_start(&l, options, address))
		code = listen_run(&l, options, ms, serial, report);
	else
		fprintf(stderr, "ekeyctl: no memory\n");
	listen_stop(&l);
	return code;
}
