/* SPDX-License-Identifier: MIT */
/*
 * Feeds the kernel's random generator from the pool, in one of two ways.
 *
 * Without credit: write(2) to /dev/random, which takes no privilege, when the feed starts and every
 * interval. Only bytes above the pool's reserve that no reader waits for are taken; while there are
 * none the pool is looked at again after 1 s, doubling to the interval.
 *
 * With credit: at once when the feed starts, then whenever the kernel asks for entropy, and else
 * every interval, and then the generator has to take it in at once. The kernel asks by POLLOUT
 * (priv/random.h); since Linux 5.18 never again once it is ready, so that a feeder which only
 * listens, as ekeyd-egd-linux does, sleeps for ever. The privileged act is a helper's
 * (priv/rng_helper.h). When the kernel refuses it (EPERM), or the helper has ended or does not
 * answer in time, a line is logged and the feed goes on without credit.
 *
 * Other failures are counted, logged once, and tried again after the interval. No other outlet is
 * held up by any of this.
 */
#ifndef KERNEL_FEED_H
#define KERNEL_FEED_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"
#include "priv/helper.h"

#define KERNEL_BYTES_MIN 16
#define KERNEL_BYTES_MAX POOL_GATHER_MAX
#define KERNEL_BYTES_DEFAULT \
	64 /* 448 bits of credit: one feed makes any kernel's generator ready */
#define KERNEL_INTERVAL_MIN_MS 1000
#define KERNEL_INTERVAL_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define KERNEL_INTERVAL_DEFAULT_MS 60000 /* a generator that is ready reseeds itself as often */

/*
 * Between two feeds at least, however often the kernel asks: before Linux 5.18 a threshold near the
 * size of its pool asks for ever.
 */
#define KERNEL_PACE_MS 1000

#define KERNEL_MIX_MAX 512 /* bytes a second of kernel_mix(): more makes nothing better */

struct kernel_feed;

struct kernel_config {
	size_t bytes; /* of one feed */
	uint64_t interval_ms;
	bool credit; /* else mixed without */
};

struct kernel_env {
	struct event_base *base;
	struct pool *pool;
	struct helper *rng; /* for credit; stays the caller's, and outlives the feed; its fd may be
			       -1 */
	unsigned (*credit)(void *arg); /* bits per byte that the pool's bytes deserve now, 0 to 8 */
	void *arg;
};

struct kernel_status {
	const char *state, *credit;
	struct pool_account account; /* delivered: to the kernel; lost: what it did not take */
	uint64_t feeds, failures;
	uint64_t credited_bits;
	uint64_t last_ms;          /* clock_now_ms() of the last feed; 0: none yet */
	int error;                 /* of the last try: 0 or -errno */
	uint64_t mixed, not_mixed; /* bytes given to kernel_mix(): written; beyond its measure, or
				      refused */
	bool ready;                /* the kernel's generator, now */
	int level_bits;            /* entropy_avail, or -errno */
};

/* Feeds as soon as the pool has bytes. NULL: no memory, or no handle. */
struct kernel_feed *kernel_feed_new(const struct kernel_env *env,
				    const struct kernel_config *config);

/* NULLs the pointer. NULL is fine. The helper may still owe an answer: it is of no use to others.
 */
void kernel_feed_free(struct kernel_feed **feed);

/*
 * Feeds now, however short a time ago it did, with bytes that are in the pool from now on: those
 * that the helper has already are followed by others.
 */
void kernel_feed_now(struct kernel_feed *feed);

/* From the next feed on; not for another `credit`. */
void kernel_feed_configure(struct kernel_feed *feed, const struct kernel_config *config);

/*
 * Bytes of a source that is not trusted: mixed in without credit, at most KERNEL_MIX_MAX a second;
 * the rest is dropped. They can do no harm there, and good when nobody else knows them.
 */
void kernel_mix(struct kernel_feed *feed, const uint8_t *bytes, size_t len);

void kernel_feed_status(const struct kernel_feed *feed, struct kernel_status *ret);

#endif
