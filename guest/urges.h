/* SPDX-License-Identifier: MIT */
/*
 * What makes a feed due before its time: the kernel asks for it, an administrator or the host does
 * (SIGUSR1), the host of Xen's has left a seed, or this machine is a clone now, which another one
 * must not resemble.
 */
#ifndef GUEST_URGES_H
#define GUEST_URGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "priv/cloned.h"

enum urge { URGE_NONE, URGE_KERNEL, URGE_ORDER, URGE_SEED, URGE_CLONED };

struct urges {
	int random; /* to listen to; -1: the kernel cannot ask */
	int orders;
	int store; /* to listen to for seeds; -1: there can be none */
	struct cloned cloned;
	const char *news;  /* of a clone, not acted on yet; NULL: none */
	uint64_t floor_ms; /* before it none is acted on */
	struct log_limit limit;
};

/* Orders wait from here on, and end nobody. 0 or -errno. To be called with our capabilities. */
int urges_open(struct urges *u);
void urges_close(struct urges *u);

/* Until there is one, or `ms` are over. The kernel is only listened to when `kernel`. */
enum urge urges_wait(struct urges *u, uint64_t ms, bool kernel);

/*
 * This machine has become a clone since it was asked last: a line says so. News that comes within
 * two seconds of other news waits for the end of that time.
 */
bool urges_cloned(struct urges *u);

#endif
