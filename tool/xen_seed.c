/* SPDX-License-Identifier: MIT */
/* Leaves a seed for a guest of Xen in xenstore. In dom0, by root. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/num.h"
#include "base/secret.h"
#include "base/xen_seed.h"
#include "base/xenstore.h"
#include "tool/ask.h"
#include "tool/tool.h"

#define ROW_LEN 256 /* bytes, of daemon/seeds.h */
#define TIMEOUT_MS 30000
#define TIMEOUT_MAX_MS 3600000
#define AGAIN_MS 200

struct seed {
	size_t len;
	uint8_t bytes[XEN_SEED_LEN];
};

static void
on_row(void *arg, char *row)
{
	struct seed *seed = arg;

	if (strlen(row) == 2 * ROW_LEN && seed->len + ROW_LEN <= sizeof(seed->bytes) &&
	    hex_decode(row, ROW_LEN, seed->bytes + seed->len))
		seed->len += ROW_LEN;
	secret_wipe(row, strlen(row));
}

/* Once. EXIT_ERROR_REPLY: it may be had later. */
static enum exit_code
ask_for_seed(struct ctl_connection *c, struct seed *ret)
{
	enum exit_code code;

	ret->len = 0;
	code = ask_quietly(c, "Seed", on_row, ret);
	if (code != EXIT_OK || ret->len == sizeof(ret->bytes))
		return code;
	fprintf(stderr, "ekeyctl: this is no seed that the daemon sent\n");
	return EXIT_CANNOT_CONNECT;
}

/* Until the pool has as much. */
static enum exit_code
get_seed(const struct tool_options *options, uint64_t timeout_ms, struct seed *ret)
{
	const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
	uint64_t end_ms = clock_now_ms() + timeout_ms;
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	while ((code = ask_for_seed(&c, ret)) == EXIT_ERROR_REPLY && clock_now_ms() < end_ms)
		nanosleep(&pause, NULL);
	if (code == EXIT_ERROR_REPLY)
		fprintf(stderr, "ekeyctl: %s\n", ctl_error(&c));
	ctl_close(&c);
	return code;
}

static enum exit_code
refuse(const char *name, int error)
{
	const char *why = error == -ESRCH    ? "no guest has this name"
			  : error == -ENOENT ? "there is no Xen here"
					     : strerror(-error);

	fprintf(stderr, "ekeyctl: %s: %s\n", name, why);
	return EXIT_NO_DOMAIN;
}

/* The guest first: entropy that nobody can be given is not asked for. */
static enum exit_code
seed_guest(const struct tool_options *options, uint64_t timeout_ms, int store, const char *name)
{
	int result = xen_seed_domain(store, name);
	struct seed seed;
	enum exit_code code;

	if (result < 0)
		return refuse(name, result);
	code = get_seed(options, timeout_ms, &seed);
	if (code == EXIT_OK)
		result = xen_seed_put(store, (unsigned)result, seed.bytes);
	secret_wipe(&seed, sizeof(seed));
	return result < 0 ? refuse(name, result) : code;
}

enum exit_code
tool_xen_seed(const struct tool_options *options, char **words)
{
	uint64_t timeout_ms = TIMEOUT_MS;
	enum exit_code code;
	int store;

	if (options->timeout != NULL &&
	    !num_parse_duration(options->timeout, TIMEOUT_MAX_MS, &timeout_ms)) {
		fprintf(stderr, "ekeyctl: --timeout: a time such as 60s is needed\n");
		return EXIT_USAGE;
	}
	store = xenstore_open();
	if (store < 0)
		return refuse(words[0], store);
	code = seed_guest(options, timeout_ms, store, words[0]);
	close(store);
	return code;
}
