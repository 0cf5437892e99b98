/* SPDX-License-Identifier: MIT */
/*
 * The control socket: greeting "PROTOCOL EKEYD/1", one command a line, answers are tab-separated
 * lines that start with '*', then "OK" or "ERROR reason". doc/protocol.md 6. The server knows
 * commands by a table of the daemon's.
 */
#ifndef DAEMON_CTL_SERVER_H
#define DAEMON_CTL_SERVER_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ctl_server;

/* One command as a client sent it. */
struct ctl_request {
	const char *words;    /* behind its name and a space; "" if there are none */
	struct evbuffer *out; /* for rows, "*\t...\n" */
	uint64_t ticket;      /* for ctl_reply() */
};

struct ctl_command {
	const char *name;
	bool admin;  /* for root and the daemon's user only, whatever the socket's mode */
	bool words;  /* words may follow its name */
	bool secret; /* its answer is entropy: see ctl_server_drop_secrets() */
	/* NULL: OK, else the text after "ERROR ", or ctl_later. */
	const char *(*run)(void *arg, const struct ctl_request *request);
	/* The client closed before ctl_reply(). May be NULL. */
	void (*gone)(void *arg, uint64_t ticket);
};

/* ctl_reply() will answer; until then the client's further lines wait. */
extern const char ctl_later[];

/* Answers with `row` (NULL: none) and OK, or with `error`, if the client is still connected. */
void ctl_reply(struct ctl_server *server, uint64_t ticket, const char *row, const char *error);

/* Closes the clients whose secret answers are not sent yet; returns how many. */
unsigned ctl_server_drop_secrets(struct ctl_server *server);

/* `commands` ends with a NULL name and outlives the server. 0 with *ret, or -errno. */
int ctl_server_new(struct event_base *base, const char *path, mode_t mode,
		   const struct ctl_command *commands, void *arg, struct ctl_server **ret);

/* Closes clients, unlinks the socket, NULLs the pointer. */
void ctl_server_free(struct ctl_server **server);

#endif
