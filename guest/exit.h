/* SPDX-License-Identifier: MIT */
/* Exit statuses of ekey-feed, documented in ekey-feed(8). */
#ifndef GUEST_EXIT_H
#define GUEST_EXIT_H

enum feed_exit {
	FEED_EXIT_OK = 0,
	FEED_EXIT_UPSTREAM = 1, /* --once: none delivered; --check: none answers */
	FEED_EXIT_USAGE = 2,
	FEED_EXIT_KERNEL = 3,    /* --once: the kernel refused the bytes */
	FEED_EXIT_NO_SEED = 6,   /* --xenstore-seed: there is none, or it was used */
	FEED_EXIT_STALE = 4,     /* --status: no feed lately */
	FEED_EXIT_NO_STATUS = 5, /* --status: there are no figures */
	FEED_EXIT_TIMED_OUT = 7, /* --wait-seeded, as ekeyctl's */
	FEED_EXIT_REFUSED = 8,   /* as UPSTREAM, and a server sent bytes that were refused */
};

#endif
