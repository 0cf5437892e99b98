/* SPDX-License-Identifier: MIT */
/* The [listen] sections while the daemon runs; the verbs are those of daemon/devices.h. */
#ifndef DAEMON_LISTENS_H
#define DAEMON_LISTENS_H

#include <event2/buffer.h>
#include <stdbool.h>

struct config;
struct daemon;

/* Before there are secrets and threads: who is to outlive us, and what was left to us. */
bool listens_prepare(struct daemon *d);

/* Opens what d->config has and is not there yet. False when one could not be. */
bool listens_start(struct daemon *d);

/* Those that are the same in `next` go on, with the keys for TLS that are in their files now. */
void listens_keep(struct daemon *d, const struct config *next);

void listens_stop(struct daemon *d);

/* The next daemon goes on with them. */
void listens_leave(struct daemon *d);

void listens_status(const struct daemon *d, struct evbuffer *out);

/* Connections that all of them may have at once. */
unsigned listens_clients(const struct config *config);

#endif
