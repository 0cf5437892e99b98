/* SPDX-License-Identifier: MIT */
/* Leaves a seed for a guest of Xen in xenstore. In dom0, by root. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
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

/* One row. The daemon answers when the pool has had its bytes for us. */
static enum exit_code
ask_for_row(struct ctl_connection *c, uint64_t end_ms, struct seed *seed)
{
	struct pollfd answer = {.fd = fileno(c->stream), .events = POLLIN};
	uint64_t now_ms = clock_now_ms();
	enum ctl_reply reply;

	if (ctl_send(c, "Seed") != 0) {
		fprintf(stderr, "ekeyctl: the daemon hung up\n");
		return EXIT_CANNOT_CONNECT;
	}
	if (poll(&answer, 1, now_ms < end_ms ? (int)(end_ms - now_ms) : 0) == 0) {
		fprintf(stderr, "ekeyctl: no seed in time: do the daemon's sources bring bytes?\n");
		return EXIT_TIMED_OUT;
	}
	while ((reply = ctl_next(c)) == CTL_REPLY_ROW)
		on_row(seed, ctl_row(c));
	if (reply == CTL_REPLY_OK)
		return EXIT_OK;
	fprintf(stderr, "ekeyctl: %s\n",
		reply == CTL_REPLY_ERROR ? ctl_error(c) : "the daemon's answer was cut off");
	return reply == CTL_REPLY_ERROR ? EXIT_ERROR_REPLY : EXIT_CANNOT_CONNECT;
}

static enum exit_code
get_seed(const struct tool_options *options, uint64_t timeout_ms, struct seed *ret)
{
	uint64_t end_ms = clock_now_ms() + timeout_ms;
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	for (size_t asked = 0; asked < XEN_SEED_LEN && code == EXIT_OK; asked += ROW_LEN)
		code = ask_for_row(&c, end_ms, ret);
	ctl_close(&c);
	if (code != EXIT_OK || ret->len == XEN_SEED_LEN)
		return code;
	fprintf(stderr, "ekeyctl: this is no seed that the daemon sent\n");
	return EXIT_CANNOT_CONNECT;
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
	struct seed seed = {0};
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
