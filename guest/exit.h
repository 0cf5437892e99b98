/* SPDX-License-Identifier: MIT */
/* How ekey-feed ends; ekey-feed(8) has the list. */
#ifndef GUEST_EXIT_H
#define GUEST_EXIT_H

enum feed_exit {
	FEED_EXIT_OK = 0,
	FEED_EXIT_UPSTREAM = 1, /* --once: none delivered; --check: none answers */
	FEED_EXIT_USAGE = 2,
	FEED_EXIT_KERNEL = 3,    /* --once: the kernel did not take it */
	FEED_EXIT_NO_SEED = 6,   /* --xenstore-seed: the host left none, or it was used */
	FEED_EXIT_STALE = 4,     /* --status: nothing was fed lately */
	FEED_EXIT_NO_STATUS = 5, /* --status: nothing runs here that writes one */
	FEED_EXIT_TIMED_OUT = 7, /* --wait-seeded, as ekeyctl's */
	FEED_EXIT_REFUSED = 8,   /* as UPSTREAM, and what one sent deserves no credit */
};

#endif
