/* SPDX-License-Identifier: MIT */
/* The [source] sections while the daemon runs; the four verbs are those of daemon/devices.h. */
#ifndef DAEMON_INPUTS_H
#define DAEMON_INPUTS_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct daemon;
struct source;

/* Starts what d->config has and what does not run yet. False: no memory, after a line in the log.
 */
bool inputs_start(struct daemon *d);

/* Those that are the same in `next` run on, in their places there; the others are stopped. */
void inputs_keep(struct daemon *d, const struct config *next);

void inputs_stop(struct daemon *d);

/* The rows of all that run. */
void inputs_status(const struct daemon *d, struct evbuffer *out);

/* The i-th source of all sections together; NULL after the last. Good until the loop runs again. */
struct source *inputs_at(const struct daemon *d, size_t i);

#endif
