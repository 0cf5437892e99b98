/* SPDX-License-Identifier: MIT */
/* The [source] sections while the daemon runs. */
#ifndef DAEMON_INPUTS_H
#define DAEMON_INPUTS_H

#include "daemon/parts.h"

struct source;

extern const struct part_functions inputs_part;

/* Returns the i-th source of all sections together; NULL after the last. Good until the loop runs
 * again. */
struct source *inputs_at(const struct daemon *d, size_t i);

#endif
