/* SPDX-License-Identifier: MIT */
/* The [source] sections while the daemon runs. */
#ifndef DAEMON_INPUTS_H
#define DAEMON_INPUTS_H

#include "daemon/parts.h"

struct source;

extern const struct part_functions inputs_part;

/* Its function `status`, in a file of its own. */
void inputs_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out);

/* Returns the i-th source of all sections together; NULL after the last. Good until the loop runs
 * again. */
struct source *inputs_at(const struct daemon *d, size_t i);

#endif
