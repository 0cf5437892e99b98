/* SPDX-License-Identifier: MIT */
/* The seed that a Xen host left for this guest: fed once, and gone. */
#ifndef GUEST_SEED_H
#define GUEST_SEED_H

#include "guest/options.h"
#include "priv/helper.h"

/* `rng` is of rng_helper_role. Logs one line that says what came of it. What to exit with. */
int seed_feed(const struct options *options, struct helper *rng);

#endif
