/* SPDX-License-Identifier: MIT */
/* Asks the daemon, and says on stderr what goes wrong. */
#ifndef TOOL_ASK_H
#define TOOL_ASK_H

#include "ctl/client.h"
#include "tool/tool.h"

/* Connects; to be closed with ctl_close() when it returns EXIT_OK. */
enum exit_code ask_open(struct ctl_connection *c, const char *socket_path);

/* Sends a command and gives each row of its answer, to be cut up at will, to `row`. */
enum exit_code ask(struct ctl_connection *c, const char *command, void (*row)(void *arg, char *row),
		   void *arg);

/* The same, but what the daemon refuses is left to the caller: EXIT_ERROR_REPLY, ctl_error(). */
enum exit_code ask_quietly(struct ctl_connection *c, const char *command,
			   void (*row)(void *arg, char *row), void *arg);

#endif
