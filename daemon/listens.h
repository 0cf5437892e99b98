/* SPDX-License-Identifier: MIT */
/* The [listen] sections while the daemon runs; the verbs are those of daemon/devices.h. */
#ifndef DAEMON_LISTENS_H
#define DAEMON_LISTENS_H

#include <event2/buffer.h>
#include <stdbool.h>

struct config;
struct daemon;

/* Opens what d->config has and is not there yet. False when one could not be. */
bool listens_start(struct daemon *d);

/* Those that are the same in `next` go on, with the keys for TLS that are in their files now. */
void listens_keep(struct daemon *d, const struct config *next);

/* Closes the connections; the listening sockets stay when the daemon restarts. */
void listens_stop(struct daemon *d);

/* Sends the replies that are ready. False while one has been sent in part. */
bool listens_flush(struct daemon *d);

void listens_status(const struct daemon *d, struct evbuffer *out);

/* Connections that all of them may have at once. */
unsigned listens_clients(const struct config *config);

#endif
