/* SPDX-License-Identifier: MIT */
/* Requests to the daemon over its control socket. Errors are printed on stderr. */
#ifndef DAEMON_EKEYCTL_CTL_CALL_H
#define DAEMON_EKEYCTL_CTL_CALL_H

#include <stdbool.h>

#include "daemon/ctl/client.h"
#include "daemon/ekeyctl/tool.h"

/* Takes one row of an answer, which it may cut up. */
typedef void ctl_call_row(void *arg, char *row);

/* Connects; to be closed with ctl_close() when it returns EXIT_OK. */
enum exit_code ctl_call_open(struct ctl_connection *c, const char *socket_path);

/* Receives the answer to a command that was sent; `row`, which may be NULL, gets its rows. */
enum exit_code ctl_call_answer(struct ctl_connection *c, ctl_call_row *row, void *arg);

/* Sends a command and receives its answer. A refusal is left to the caller: ctl_error(). */
enum exit_code ctl_call_quietly(struct ctl_connection *c, const char *command, ctl_call_row *row,
				void *arg);

/* The same, and prints a refusal. */
enum exit_code ctl_call(struct ctl_connection *c, const char *command, ctl_call_row *row,
			void *arg);

/* The same over a connection of its own. */
enum exit_code ctl_call_once(const struct tool_options *options, const char *command,
			     ctl_call_row *row, void *arg);

/* A row of the answer to "Status": "source\tk1\tstate\tkeyed". */
struct status_row {
	const char *kind, *name, *key, *value;
};

/* False for a row of another form, as a newer daemon may send it. */
bool ctl_call_cut_row(char *row, struct status_row *ret);

#endif
