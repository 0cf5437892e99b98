/* SPDX-License-Identifier: MIT */
/*
 * Feeds the kernel's random generator from the pool, in one of two ways.
 *
 * Without credit: write(2) to /dev/random, which needs no privilege, when the feed starts and every
 * interval. Only bytes above the pool's reserve that no reader waits for are taken; while there are
 * none the pool is looked at again after 1 s, doubling to the interval.
 *
 * With credit: at once when the feed starts, then whenever the kernel asks for entropy, and
 * otherwise every interval, with a reseed of the generator. The kernel asks by POLLOUT
 * (lib/priv/random.h), since Linux 5.18 only until its generator is ready, so that a feeder without
 * an interval, such as ekeyd-egd-linux, sleeps without end. A helper credits
 * (lib/priv/rng_helper.h). When the kernel refuses it (EPERM), or the helper has ended or does not
 * answer in time, a line is logged and the feed goes on without credit.
 *
 * After other failures, which are counted and logged once, the feed is retried after the interval.
 * No other outlet has to wait for any of this.
 */
#ifndef DAEMON_KERNEL_FEED_H
#define DAEMON_KERNEL_FEED_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/priv/helper.h"
#include "pool/pool.h"

#define KERNEL_BYTES_MIN 16
#define KERNEL_BYTES_MAX POOL_GATHER_MAX
#define KERNEL_BYTES_DEFAULT \
	64 /* 448 bits of credit: one feed makes any kernel's generator ready */
#define KERNEL_INTERVAL_MIN_MS 1000
#define KERNEL_INTERVAL_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define KERNEL_INTERVAL_DEFAULT_MS 60000 /* a generator that is ready reseeds itself as often */

/*
 * Least time between two feeds: before Linux 5.18 a kernel with a threshold near the size of its
 * pool asks without end.
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
	struct helper *rng; /* for credit; the caller's; outlives the feed; its fd may be -1 */
	unsigned (*credit)(void *arg); /* bits per byte that the pool's bytes deserve now, 0 to 8 */
	void *arg;
};

struct kernel_status {
	const char *state, *credit;
	struct pool_account account; /* delivered: to the kernel; lost: not accepted by it */
	uint64_t feeds, failures;
	uint64_t credited_bits;
	uint64_t last_ms; /* clock_now_ms() of the last feed; 0: none yet */
	int error;        /* of the last try: 0 or -errno */
	uint64_t mixed,
		not_mixed; /* bytes of kernel_mix(): written; beyond its limit, or refused */
	bool ready;        /* the kernel's generator, now */
	int level_bits;    /* entropy_avail, or -errno */
};

/* Feeds as soon as the pool has bytes. NULL: no memory, or no handle. */
struct kernel_feed *kernel_feed_new(const struct kernel_env *env,
				    const struct kernel_config *config);

/* NULLs the pointer. NULL is fine. The helper may still send an answer: stop it, too. */
void kernel_feed_free(struct kernel_feed **feed);

/*
 * Feeds now, whenever the last feed was, with bytes that are in the pool from now on: if the helper
 * has bytes already, another feed follows.
 */
void kernel_feed_now(struct kernel_feed *feed);

/* Takes effect with the next feed; `credit` must be the same. */
void kernel_feed_configure(struct kernel_feed *feed, const struct kernel_config *config);

/*
 * Mixes bytes of an untrusted source in without credit, at most KERNEL_MIX_MAX a second; the rest
 * is dropped. They cannot do harm there, and help if no attacker knows them.
 */
void kernel_mix(struct kernel_feed *feed, const uint8_t *bytes, size_t len);

void kernel_feed_status(const struct kernel_feed *feed, struct kernel_status *ret);

#endif
