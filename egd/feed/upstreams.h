/* SPDX-License-Identifier: MIT */
/*
 * The servers of --from, in order of preference: the first that delivers is used. Bytes must pass
 * the health tests.
 */
#ifndef EGD_FEED_UPSTREAMS_H
#define EGD_FEED_UPSTREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egd/feed/channel.h"
#include "egd/feed/options.h"
#include "pool/health.h"

struct upstreams {
	struct channel_to to[FEED_UPSTREAMS_MAX];
	size_t count;
	uint64_t timeout_ms;
	struct health health[FEED_UPSTREAMS_MAX];
	bool failing[FEED_UPSTREAMS_MAX]; /* at the last try; logged */
	bool refused;                     /* at the last fetch: the bytes of a server */
	const struct channel_to *last;    /* that delivered; NULL: none yet */
};

/* False after a line on stderr that names the address and what is wrong with it. */
bool upstreams_init(struct upstreams *u, const struct options *options);

/* Also after an init that failed. */
void upstreams_finish(struct upstreams *u);

/*
 * Requests `len` bytes (1 to EGD_LEN_MAX) of one after another. Returns the server that delivered,
 * or NULL; a change is logged.
 */
const struct channel_to *upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len);

/*
 * Requests the level of one after another, which takes no entropy and never waits, and prints a
 * line for each, up to the first that answers. Returns an exit status.
 */
int upstreams_check(const struct upstreams *u);

#endif
