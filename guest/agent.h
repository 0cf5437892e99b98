/* SPDX-License-Identifier: MIT */
/* The agent: asks a server for bytes and has the keeper feed them to the kernel, by the clock. */
#ifndef GUEST_AGENT_H
#define GUEST_AGENT_H

#include "guest/options.h"
#include "guest/upstreams.h"
#include "guest/urges.h"

/*
 * MODE_ONCE: one feed. MODE_FEED: returns only when there is no keeper any more. `keeper` is of
 * keeper_start(); `urges` are open in MODE_FEED, else NULL. Returns what to exit with.
 */
int agent_run(const struct options *options, struct upstreams *upstreams, int keeper,
	      struct urges *urges);

#endif
