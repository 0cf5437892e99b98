/* SPDX-License-Identifier: MIT */
/* The seed that a Xen host left for this guest: fed once, and gone. */
#ifndef GUEST_SEED_H
#define GUEST_SEED_H

#include "guest/options.h"

/* `keeper` is of keeper_start(). One line says what came of it. What to exit with. */
int seed_feed(const struct options *options, int keeper);

#endif
