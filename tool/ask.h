/* SPDX-License-Identifier: MIT */
/* Requests to the daemon over its control socket. Errors are printed on stderr. */
#ifndef TOOL_ASK_H
#define TOOL_ASK_H

#include <stdbool.h>

#include "ctl/client.h"
#include "tool/tool.h"

/* Takes one row of an answer, which it may cut up. */
typedef void ask_row(void *arg, char *row);

/* Connects; to be closed with ctl_close() when it returns EXIT_OK. */
enum exit_code ask_open(struct ctl_connection *c, const char *socket_path);

/* Receives the answer to a command that was sent; `row`, which may be NULL, gets its rows. */
enum exit_code ask_answer(struct ctl_connection *c, ask_row *row, void *arg);

/* Sends a command and receives its answer. A refusal is left to the caller: ctl_error(). */
enum exit_code ask_quietly(struct ctl_connection *c, const char *command, ask_row *row, void *arg);

/* The same, and prints a refusal. */
enum exit_code ask(struct ctl_connection *c, const char *command, ask_row *row, void *arg);

/* The same over a connection of its own. */
enum exit_code ask_once(const struct tool_options *options, const char *command, ask_row *row,
			void *arg);

/* A row of the answer to "Status": "source\tk1\tstate\tkeyed". */
struct status_row {
	const char *kind, *name, *key, *value;
};

/* False for a row of another form, as a newer daemon may send it. */
bool ask_cut_row(char *row, struct status_row *ret);

#endif
