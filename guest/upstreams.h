/* SPDX-License-Identifier: MIT */
/*
 * The servers that were named, in order of preference: the first that delivers is the one. Only
 * what passes the health tests is delivered.
 */
#ifndef GUEST_UPSTREAMS_H
#define GUEST_UPSTREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/channel.h"
#include "guest/options.h"
#include "pool/health.h"

struct upstreams {
	struct channel_to to[FEED_UPSTREAMS_MAX];
	size_t count;
	uint64_t timeout_ms;
	struct health health[FEED_UPSTREAMS_MAX];
	bool failing[FEED_UPSTREAMS_MAX]; /* at the last try: the log has it */
	bool refused;                     /* at the last fetch: what a server sent */
	const struct channel_to *last;    /* that delivered; NULL: none yet */
};

/* False after a line on stderr that names the address and what is wrong with it. */
bool upstreams_init(struct upstreams *u, const struct options *options);

/* Also after an init that failed. */
void upstreams_finish(struct upstreams *u);

/*
 * Asks them in turn for `len` bytes (1 to EGD_LEN_MAX). Who delivered, or NULL; the log says when
 * that changes.
 */
const struct channel_to *upstreams_fetch(struct upstreams *u, uint8_t *ret, size_t len);

#endif
