/* SPDX-License-Identifier: MIT */
/*
 * This machine may be cloned, or set back to a snapshot: then, and by order, what the daemon has
 * of entropy is wiped and all sources begin anew, for others may have the same. See priv/cloned.h
 * for how it is noticed, and how soon.
 */
#ifndef DAEMON_CLONES_H
#define DAEMON_CLONES_H

#include <event2/buffer.h>
#include <stdbool.h>

struct ctl_request;
struct daemon;

/* Opens what tells of it, while we have what it takes. */
void clones_prepare(struct daemon *d);

/* Listens. False: no memory. */
bool clones_start(struct daemon *d);
void clones_stop(struct daemon *d);
void clones_status(const struct daemon *d, struct evbuffer *out);

/* For ctl_command.run. */
const char *clones_wipe(void *arg, const struct ctl_request *request);

#endif
