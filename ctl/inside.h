/* SPDX-License-Identifier: MIT */
/* What server.c, which lets clients in, and peer.c, which answers one, share. */
#ifndef CTL_INSIDE_H
#define CTL_INSIDE_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/log.h"
#include "ctl/server.h"

struct ctl_peer {
	struct ctl_server *server;
	struct bufferevent *stream;
	bool ended;      /* it will send nothing more */
	bool closing;    /* when its answers are sent */
	bool admin;      /* root, or our own user */
	bool secret;     /* its last command's answer is, and has not left yet */
	uint64_t ticket; /* of the command whose answer comes later; 0: none */
	void (*gone)(void *arg, uint64_t ticket); /* that command's, or NULL */
	LIST_ENTRY(ctl_peer) in_peers;
};

struct ctl_server {
	char *path;
	mode_t mode;
	const struct ctl_command *commands;
	void *arg;
	int fd; /* of the listener */
	struct event *accept;
	struct event *accept_again; /* after a lack of fds */
	struct log_limit refused_limit, rest_limit;
	unsigned peer_count;
	uint64_t tickets; /* given out so far */
	LIST_HEAD(, ctl_peer) peers;
};

/* Greets and serves the client behind `fd`. False: no memory, and the fd is still the caller's. */
bool ctl_peer_open(struct ctl_server *server, struct event_base *base, int fd);

/* Hangs up. */
void ctl_peer_free(struct ctl_peer *c);

/* The peer's user; (uid_t)-1: unknown. */
uid_t ctl_peer_uid(int fd);

/* True of root and of our own user. */
bool ctl_is_admin(uid_t uid);

#endif
