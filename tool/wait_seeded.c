/* SPDX-License-Identifier: MIT */
/*
 * Asks five times a second, each time by a connection of its own: so it waits for a daemon that is
 * yet to start as well as for its key, and a restart in between is nothing special.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "ctl/client.h"
#include "tool/tool.h"

#define ASK_EVERY_MS 200
#define TIMEOUT_MAX_MS (UINT64_C(365) * 24 * 3600 * 1000)

/* The row of the bytes that ever came into the pool; only healthy ones do. */
#define ROW_IN "pool\t-\tin\t"

static bool
asks_bytes_in(struct ctl_connection *c)
{
	uint64_t in = 0;

	if (ctl_send(c, "Status") != 0)
		return false;
	while (ctl_next(c) == CTL_REPLY_ROW) {
		const char *row = ctl_row(c);

		if (strncmp(row, ROW_IN, strlen(ROW_IN)) == 0)
			(void)num_parse(row + strlen(ROW_IN), UINT64_MAX, &in);
	}
	return in > 0;
}

/* 0: seeded. -EAGAIN: the daemon has no byte yet. Else why it cannot be asked. */
static int
ask_once(const char *socket_path)
{
	struct ctl_connection c;
	int result = ctl_open(&c, socket_path);

	if (result < 0)
		return result;
	result = asks_bytes_in(&c) ? 0 : -EAGAIN;
	ctl_close(&c);
	return result;
}

static enum exit_code
wait_until_seeded(const char *socket_path, uint64_t timeout_ms)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	uint64_t started_ms = clock_now_ms();

	for (;;) {
		int result = ask_once(socket_path);

		if (result == 0)
			return EXIT_OK;
		if (result == -EACCES) { /* waiting gives nobody permission */
			fprintf(stderr, "ekeyctl: %s: %s\n", socket_path, strerror(-result));
			return EXIT_CANNOT_CONNECT;
		}
		if (clock_now_ms() - started_ms >= timeout_ms) {
			fprintf(stderr, "ekeyctl: no healthy byte in time: %s\n",
				result == -EAGAIN ? "ekeyctl status says what the daemon waits for"
						  : "ekey-randomd does not answer");
			return EXIT_TIMED_OUT;
		}
		nanosleep(&pause, NULL);
	}
}

enum exit_code
tool_wait_seeded(const struct tool_options *options, char **words)
{
	uint64_t timeout_ms = UINT64_MAX;

	(void)words;
	if (options->timeout != NULL &&
	    !num_parse_duration(options->timeout, TIMEOUT_MAX_MS, &timeout_ms)) {
		fprintf(stderr,
			"ekeyctl: --timeout %s: a time such as 60s is needed\n"
			"usage: ekeyctl wait-seeded [--timeout TIME]\n",
			options->timeout);
		return EXIT_USAGE;
	}
	return wait_until_seeded(options->socket, timeout_ms);
}
