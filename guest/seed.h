/* SPDX-License-Identifier: MIT */
/* The seed that a Xen host left for this guest: fed once, and gone. */
#ifndef GUEST_SEED_H
#define GUEST_SEED_H

#include "guest/options.h"

/* `keeper` is of keeper_start(). What to exit with. */
int seed_run(const struct options *options, int keeper);

#endif
