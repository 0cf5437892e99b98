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

#include "priv/cloned.h"

enum urge { URGE_NONE, URGE_KERNEL, URGE_ORDER, URGE_SEED, URGE_CLONED };

struct urges {
	int random; /* to listen to; -1: the kernel cannot ask */
	int orders;
	int store; /* to listen to for seeds; -1: there can be none */
	struct cloned cloned;
};

/* Orders wait from here on, and end nobody. 0 or -errno. To be called with our capabilities. */
int urges_open(struct urges *u);
void urges_close(struct urges *u);

/* Until there is one, or `ms` are over. The kernel is only listened to when `kernel`. */
enum urge urges_wait(struct urges *u, uint64_t ms, bool kernel);

/* This machine has become a clone since it was asked last: one line says so. */
bool urges_cloned(struct urges *u);

#endif
