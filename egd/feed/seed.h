/* SPDX-License-Identifier: MIT */
/* The seed that a Xen host has left for this guest; it is removed before it is fed. */
#ifndef EGD_FEED_SEED_H
#define EGD_FEED_SEED_H

#include "egd/feed/options.h"
#include "lib/priv/helper.h"

/* `rng` is of rng_helper_role. Logs one line about the outcome; returns an exit status. */
int seed_feed(const struct options *options, struct helper *rng);

#endif
