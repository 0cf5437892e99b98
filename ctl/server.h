/* SPDX-License-Identifier: MIT */
/*
 * The control socket: greeting "PROTOCOL EKEYD/1", one command a line, answers are tab-separated
 * lines that start with '*', then "OK" or "ERROR reason". PROTOCOL 6. The server knows commands by
 * a table that the daemon gives it; it knows nothing of the daemon.
 */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/types.h>

struct ctl_server;

struct ctl_command {
	const char *name;
	/* Adds "*\t...\n" lines to `out`; NULL: OK, else the text after "ERROR ". */
	const char *(*run)(void *arg, struct evbuffer *out);
};

/* `commands` ends with a NULL name and outlives the server. 0 with *ret, or -errno. */
int ctl_server_new(struct event_base *base, const char *path, mode_t mode,
		   const struct ctl_command *commands, void *arg, struct ctl_server **ret);

/* Closes clients, unlinks the socket, NULLs the pointer. */
void ctl_server_free(struct ctl_server **server);

#endif
