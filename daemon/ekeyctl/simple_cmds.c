/* SPDX-License-Identifier: MIT */
/* The subcommands that send one control request: status, drain, resume, wipe, wait-seeded. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/ekeyctl/ctl_call.h"
#include "lib/clock.h"
#include "lib/num.h"

#define STATUS_KEY_WIDTH 32
#define ASK_EVERY_MS 200

/* ---- status ---- */

/* The subject of the last row: "source" and "k1". */
struct subject {
	char kind[CTL_LINE_MAX], name[CTL_LINE_MAX];
};

/* Prints a heading where the subject changes, then one aligned line for each row. */
static void
print_status_row(void *arg, char *text)
{
	struct subject *last = arg;
	struct status_row row;

	if (!ctl_call_cut_row(text, &row))
		return;
	if (strcmp(row.kind, last->kind) != 0 || strcmp(row.name, last->name) != 0) {
		printf("%s%s %s\n", last->kind[0] != '\0' ? "\n" : "", row.kind,
		       strcmp(row.name, "-") == 0 ? "" : row.name);
		snprintf(last->kind, sizeof(last->kind), "%s", row.kind);
		snprintf(last->name, sizeof(last->name), "%s", row.name);
	}
	printf("  %-*s %s\n", STATUS_KEY_WIDTH, row.key, row.value);
}

enum exit_code
tool_status(const struct tool_options *options, char **words)
{
	struct subject last = {.kind = ""};

	(void)words;
	return ctl_call_once(options, "Status", print_status_row, &last);
}

/* ---- drain, resume, wipe ---- */

enum exit_code
tool_order(const struct tool_options *options, char **words)
{
	static const struct {
		const char *name, *command, *done;
	} orders[] = {
		{"drain", "Drain", "HAProxy will send no new clients to this daemon"},
		{"resume", "Resume", "HAProxy will send new clients to this daemon again"},
		{"wipe", "Wipe", "all buffered bytes are wiped and the sources are restarted"},
	};
	enum exit_code code;
	size_t i = 0;

	(void)words;
	while (strcmp(orders[i].name, options->command) != 0)
		i++;
	code = ctl_call_once(options, orders[i].command, NULL, NULL);
	if (code == EXIT_OK)
		printf("%s\n", orders[i].done);
	return code;
}

/* ---- wait-seeded ---- */

/* Notes that healthy bytes have entered the pool; other bytes never do. */
static void
note_bytes_in(void *arg, char *text)
{
	struct status_row row;
	uint64_t bytes;

	if (ctl_call_cut_row(text, &row) && strcmp(row.kind, "pool") == 0 &&
	    strcmp(row.key, "in") == 0 && num_parse(row.value, UINT64_MAX, &bytes) && bytes > 0)
		*(bool *)arg = true;
}

/* 0: seeded. -EAGAIN: the daemon has no byte yet. Other errors: it cannot be asked. */
static int
ask_seeded(const char *socket_path)
{
	struct ctl_connection c;
	bool seeded = false;
	int result = ctl_open(&c, socket_path);

	if (result < 0)
		return result;
	if (ctl_send(&c, "Status") == 0)
		while (ctl_next(&c) == CTL_REPLY_ROW)
			note_bytes_in(&seeded, ctl_row(&c));
	ctl_close(&c);
	return seeded ? 0 : -EAGAIN;
}

/*
 * Each request has its own connection: the wait covers a daemon that starts later, and a restart
 * during it, as well as a key that comes later.
 */
enum exit_code
tool_wait_seeded(const struct tool_options *options, char **words)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	uint64_t started_ms = clock_now_ms();
	int result;

	(void)words;
	while ((result = ask_seeded(options->socket)) != 0) {
		if (result == -EACCES) { /* the right to connect does not come with time */
			fprintf(stderr, "ekeyctl: %s: %s\n", options->socket, strerror(-result));
			return EXIT_CANNOT_CONNECT;
		}
		if (clock_now_ms() - started_ms >= options->timeout_ms) {
			fprintf(stderr, "ekeyctl: timeout: no healthy byte yet: %s\n",
				result == -EAGAIN ? "see ekeyctl status for the cause"
						  : "ekey-randomd does not answer");
			return EXIT_TIMED_OUT;
		}
		nanosleep(&pause, NULL);
	}
	return EXIT_OK;
}
