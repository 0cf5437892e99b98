/* SPDX-License-Identifier: MIT */
/* ekeyctl xen-seed: leaves a seed for a guest of Xen in xenstore. For root in dom0. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ekeyctl/ctl_call.h"
#include "lib/clock.h"
#include "lib/hex.h"
#include "lib/secret.h"
#include "lib/xen_seed.h"
#include "lib/xenstore.h"

#define ROW_LEN 256 /* bytes, of daemon/cmd_seed.h */
#define TIMEOUT_MS 30000

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

/* Asks for one row, which comes when the pool has given its bytes. */
static enum exit_code
ask_for_row(struct ctl_connection *c, uint64_t end_ms, struct seed *seed)
{
	struct pollfd answer = {.fd = fileno(c->stream), .events = POLLIN};
	uint64_t now_ms = clock_now_ms();
	enum exit_code code;

	if (ctl_send(c, "Seed") == 0 &&
	    poll(&answer, 1, now_ms < end_ms ? (int)(end_ms - now_ms) : 0) == 0) {
		fprintf(stderr,
			"ekeyctl: timeout: no seed yet: do the daemon's sources deliver?\n");
		return EXIT_TIMED_OUT;
	}
	code = ctl_call_answer(c, on_row, seed);
	if (code == EXIT_ERROR_REPLY)
		fprintf(stderr, "ekeyctl: %s\n", ctl_error(c));
	return code;
}

static enum exit_code
get_seed(const struct tool_options *options, struct seed *ret)
{
	uint64_t end_ms = clock_now_ms() +
			  (options->timeout_ms != UINT64_MAX ? options->timeout_ms : TIMEOUT_MS);
	struct ctl_connection c;
	enum exit_code code = ctl_call_open(&c, options->socket);

	if (code != EXIT_OK)
		return code;
	for (size_t asked = 0; asked < XEN_SEED_LEN && code == EXIT_OK; asked += ROW_LEN)
		code = ask_for_row(&c, end_ms, ret);
	ctl_close(&c);
	if (code != EXIT_OK || ret->len == XEN_SEED_LEN)
		return code;
	fprintf(stderr, "ekeyctl: the daemon sent no valid seed\n");
	return EXIT_CANNOT_CONNECT;
}

static enum exit_code
refuse(const char *name, int error)
{
	const char *why = error == -ESRCH    ? "no guest has this name"
			  : error == -ENOENT ? "this is no host of Xen"
					     : strerror(-error);

	fprintf(stderr, "ekeyctl: %s: %s\n", name, why);
	return EXIT_NO_DOMAIN;
}

/* Finds the guest first, so that no entropy is lost where there is none. */
static enum exit_code
seed_guest(const struct tool_options *options, int store, const char *name)
{
	int result = xen_seed_domain(store, name);
	struct seed seed = {0};
	enum exit_code code;

	if (result < 0)
		return refuse(name, result);
	code = get_seed(options, &seed);
	if (code == EXIT_OK)
		result = xen_seed_put(store, (unsigned)result, seed.bytes);
	secret_wipe(&seed, sizeof(seed));
	return result < 0 ? refuse(name, result) : code;
}

enum exit_code
tool_xen_seed(const struct tool_options *options, char **words)
{
	int store = xenstore_open();
	enum exit_code code;

	if (store < 0)
		return refuse(words[0], store);
	code = seed_guest(options, store, words[0]);
	close(store);
	return code;
}
