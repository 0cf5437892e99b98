/* SPDX-License-Identifier: MIT */
/*
 * Events that make a feed due before its time: the kernel asks for it, an administrator orders it
 * (SIGUSR1), the host of Xen has left a seed, or this machine was cloned.
 */
#ifndef GUEST_URGES_H
#define GUEST_URGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "priv/cloned.h"

enum urge { URGE_NONE, URGE_KERNEL, URGE_ORDER, URGE_SEED, URGE_CLONED };

struct urges {
	int random; /* -1: the kernel cannot ask */
	int orders;
	int store; /* xenstore, watched for seeds; -1: not watched */
	struct cloned cloned;
	const char *news;  /* of a clone, to be acted on; NULL: none */
	uint64_t floor_ms; /* the earliest time for that */
	struct log_limit limit;
};

/* Blocks SIGUSR1, which is read from then on. 0 or -errno. Needs the capabilities of the start. */
int urges_open(struct urges *u);
void urges_close(struct urges *u);

/* Waits for an event, at most `ms`. The kernel may ask only when `kernel`. */
enum urge urges_wait(struct urges *u, uint64_t ms, bool kernel);

/*
 * Returns whether this machine was cloned since the last call, after a line. News within two
 * seconds after other news waits for their end.
 */
bool urges_cloned(struct urges *u);

#endif
