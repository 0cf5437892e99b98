/* SPDX-License-Identifier: MIT */
/* The agent: requests bytes of a server and has a helper feed them to the kernel, by the clock. */
#ifndef EGD_FEED_AGENT_H
#define EGD_FEED_AGENT_H

#include "egd/feed/options.h"
#include "egd/feed/triggers.h"
#include "egd/feed/upstreams.h"
#include "lib/priv/helper.h"

/*
 * MODE_ONCE: one feed. MODE_FEED: returns only when the helper has ended. `rng` is of
 * rng_helper_role; `triggers` are open in MODE_FEED, else NULL. Returns an exit status.
 */
int agent_run(const struct options *options, struct upstreams *upstreams, struct helper *rng,
	      struct triggers *triggers);

#endif
