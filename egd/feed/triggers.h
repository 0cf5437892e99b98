/* SPDX-License-Identifier: MIT */
/*
 * Events that make a feed due before its time: the kernel asks for it, an administrator orders it
 * (SIGUSR1), the host of Xen has left a seed, or this machine was cloned.
 */
#ifndef EGD_FEED_TRIGGERS_H
#define EGD_FEED_TRIGGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log.h"
#include "lib/priv/vm_clone.h"

enum trigger { TRIGGER_NONE, TRIGGER_KERNEL, TRIGGER_ORDER, TRIGGER_SEED, TRIGGER_CLONED };

struct triggers {
	int random; /* -1: the kernel cannot ask */
	int orders;
	int store; /* xenstore, watched for seeds; -1: not watched */
	struct vm_clone cloned;
	const char *news;  /* of a clone, to be acted on; NULL: none */
	uint64_t floor_ms; /* the earliest time for that */
	struct log_limit limit;
};

/* Blocks SIGUSR1, which is read from then on. 0 or -errno. Needs the capabilities of the start. */
int triggers_open(struct triggers *u);
void triggers_close(struct triggers *u);

/* Waits for an event, at most `ms`. The kernel may ask only when `kernel`. */
enum trigger triggers_wait(struct triggers *u, uint64_t ms, bool kernel);

/*
 * Returns whether this machine was cloned since the last call, after a line. News within two
 * seconds after other news waits for their end.
 */
bool triggers_cloned(struct triggers *u);

#endif
