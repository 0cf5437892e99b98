/* SPDX-License-Identifier: MIT */
/* The command line of ekey-feed. */
#ifndef EGD_FEED_OPTIONS_H
#define EGD_FEED_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_UPSTREAMS_MAX 8
#define FEED_TEXTFILE "/run/ekey-feed/ekey-feed.prom"

/* Exit statuses, documented in ekey-feed(8). */
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

enum mode {
	MODE_FEED,        /* feeds until it ends */
	MODE_ONCE,        /* one feed */
	MODE_CHECK,       /* no feed: tests whether a server answers */
	MODE_WAIT_SEEDED, /* no feed: waits until the kernel's generator is ready */
	MODE_XEN_SEED,    /* one feed of what the host left in xenstore */
	MODE_STATUS,      /* no feed: prints the figures of the one that runs */
};

struct options {
	enum mode mode;
	const char *from[FEED_UPSTREAMS_MAX]; /* in order of preference */
	size_t from_count;
	unsigned bytes; /* of one feed */
	uint64_t interval_ms;
	uint64_t timeout_ms;  /* of each server, from connecting to its answer */
	uint64_t patience_ms; /* of MODE_WAIT_SEEDED; UINT64_MAX: no limit */
	unsigned credit;      /* bits per byte, of a trusted server */
	bool trusted;         /* plain TCP too: the link is private */
	const char *textfile; /* NULL: none */
	/* TLS; NULL: none. */
	const char *psk, *identity, *ca, *cert, *key;
};

/*
 * False when the program is to end, with *ret_exit: usage, version or an error has been written.
 */
bool options_parse(int argc, char **argv, struct options *ret, int *ret_exit);

#endif
