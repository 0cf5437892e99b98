/* SPDX-License-Identifier: MIT */
/*
 * A pool with outlets that do anything an outlet may do, at any moment, also inside the pool's
 * callbacks; what they do comes from a seed or from a fuzzer. The stream is numbers of 8 bytes,
 * all different, and every request is for whole numbers: so each one can be followed. (Puts are of
 * two: half of one goes to the reserve.) What is checked after every step is the manual's first
 * paragraphs.
 */
#ifndef TESTS_UNIT_POOL_WORLD_H
#define TESTS_UNIT_POOL_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/pool.h"
#include "tests/unit/secret_scan.h"

#define WORLD_HANDLES 12
#define WORLD_ACCOUNTS 3
#define WORLD_WAITERS 24
#define WORLD_RESERVE 512
#define WORLD_SIZE (POOL_SIZE_MIN + WORLD_RESERVE + 8)
#define WORLD_WORDS (1U << 18) /* of the stream */
#define WORLD_DEPTH 4          /* of calls from inside callbacks */
#define WORLD_TAG 0xe76b3359U  /* in the upper half of every number */

struct world;

struct world_read {
	struct world *world;
	struct pool_waiter *waiter; /* NULL: free */
	unsigned handle;
	size_t need;
	bool answered;
};

struct world_poll {
	struct world *world;
	bool armed;
};

struct world {
	unsigned (*pick)(void *arg, unsigned below); /* where decisions come from */
	void *arg;
	struct pool *pool;
	struct pool_account accounts[WORLD_ACCOUNTS];
	struct pool_handle handles[WORLD_HANDLES];
	bool open[WORLD_HANDLES], privileged[WORLD_HANDLES];
	struct world_poll polls[WORLD_HANDLES];
	struct world_read reads[WORLD_WAITERS];
	bool plenty; /* or dearth: the ring is mostly full, or mostly empty */
	bool asking; /* inside pool_wait(), which calls nobody */
	unsigned depth;
	size_t wanted; /* smallest room that was refused, 0: none */
	uint32_t next; /* number of the stream */
	uint64_t delivered;
	unsigned answered, polled, rooms, nested; /* times it happened: a world must be lively */
	bool seen[WORLD_WORDS];
};

static inline void
world_check(bool good, const char *promise)
{
	if (good)
		return;
	fprintf(stderr, "broken: %s\n", promise);
	abort();
}

/* Numbers that came out, in one request, for good or to be lost. */
static inline void
world_see(struct world *w, const uint8_t *bytes, size_t len)
{
	uint32_t last = 0;

	world_check(len % 8 == 0, "whole numbers");
	for (size_t i = 0; i < len; i += 8) {
		uint32_t n, tag;

		memcpy(&n, bytes + i, 4);
		memcpy(&tag, bytes + i + 4, 4);
		world_check(tag == WORLD_TAG && n < w->next, "only what was put in comes out");
		world_check(!w->seen[n], "never twice");
		world_check(i == 0 || n > last, "a request's bytes are in the stream's order");
		w->seen[n] = true;
		last = n;
	}
}

static inline void world_step(struct world *w);

static inline void
world_maybe_step(struct world *w)
{
	if (w->depth >= WORLD_DEPTH || w->pick(w->arg, 3) != 0)
		return;
	w->depth++;
	w->nested++;
	world_step(w);
	w->depth--;
}

/* ---- what the pool calls ---- */

static inline void
world_on_room(void *arg)
{
	struct world *w = arg;

	world_check(!w->asking, "on_room is not called from pool_wait()");
	world_check(w->wanted != 0, "on_room is for those who were refused");
	world_check(pool_room(w->pool) >= w->wanted, "on_room when there is room");
	w->wanted = 0;
	w->rooms++;
	world_maybe_step(w);
}

static inline void
world_read_end(struct world *w, struct world_read *r, bool delivered)
{
	struct pool_waiter *waiter = r->waiter;
	const uint8_t *bytes;
	size_t len;

	bytes = pool_waiter_bytes(waiter, &len);
	world_see(w, bytes, len);
	w->delivered += delivered ? len : 0;
	r->waiter = NULL;
	pool_waiter_done(w->pool, waiter, delivered);
}

static inline void
world_ready(struct pool_waiter *waiter, void *arg)
{
	struct world_read *r = arg;
	struct world *w = r->world;

	world_check(!w->asking, "ready is not called from pool_wait()");
	world_check(waiter == r->waiter && !r->answered, "ready once, for the right one");
	r->answered = true;
	w->answered++;
	if (w->pick(w->arg, 4) != 0)
		world_read_end(w, r, w->pick(w->arg, 8) != 0);
	world_maybe_step(w);
}

static inline void
world_poll_ready(struct pool_waiter *waiter, void *arg)
{
	struct world_poll *poll = arg;

	world_check(!poll->world->asking, "a poll neither");
	world_check(waiter == NULL && poll->armed, "a poll is ready once, while armed");
	poll->armed = false;
	poll->world->polled++;
	world_maybe_step(poll->world);
}

/* ---- what outlets and sources do ---- */

static inline void
world_put(struct world *w)
{
	uint8_t bytes[8 * 200];
	size_t len = 16 * (1 + w->pick(w->arg, 4) + (w->plenty ? 95 : 0)), n;
	uint32_t tag = WORLD_TAG;

	if (w->next + len / 8 > WORLD_WORDS)
		return;
	if (!pool_ask_room(w->pool, len)) {
		size_t wanted = len > WORLD_SIZE / 4 ? len : WORLD_SIZE / 4;

		w->wanted = w->wanted == 0 || wanted < w->wanted ? wanted : w->wanted;
	}
	len = len < pool_room(w->pool) ? len : pool_room(w->pool) / 16 * 16;
	for (size_t i = 0; i < len; i += 8, w->next++) {
		memcpy(bytes + i, &w->next, 4);
		memcpy(bytes + i + 4, &tag, 4);
	}
	n = pool_put(w->pool, bytes, len);
	world_check(n == len, "pool_put takes what pool_room promises");
}

static inline void
world_open(struct world *w, unsigned i)
{
	static const enum identity_kind kinds[] = {IDENTITY_UID, IDENTITY_IPV4, IDENTITY_IPV6};
	struct pool_client client = {.kind = kinds[i % 3], .whole = i % 2 == 0};

	if (w->open[i])
		return;
	client.number = w->pick(w->arg, 3);
	client.host = client.kind == IDENTITY_IPV6 ? w->pick(w->arg, 3) : 0;
	client.weight = 1 + w->pick(w->arg, 3);
	client.reserve = w->privileged[i] = w->pick(w->arg, 4) == 0;
	w->open[i] = pool_handle_open(w->pool, &w->handles[i], &w->accounts[i % WORLD_ACCOUNTS],
				      &client);
}

static inline void
world_close(struct world *w, unsigned i)
{
	for (unsigned k = 0; k < WORLD_WAITERS; k++)
		if (w->reads[k].handle == i)
			w->reads[k].waiter = NULL;
	w->open[i] = false;
	w->polls[i].armed = false;
	pool_handle_close(w->pool, &w->handles[i]);
}

static inline void
world_take(struct world *w, unsigned i)
{
	uint8_t bytes[8 * 300];
	size_t len = 8 * (1 + w->pick(w->arg, 8) + (w->pick(w->arg, 4) == 0 ? 290 : 0));
	size_t promised = pool_ready(w->pool, &w->handles[i]), n;
	struct pool_handle *h = &w->handles[i];

	if (promised < len)
		len = h->whole ? len : promised;
	n = pool_take(w->pool, h, bytes, len);
	world_check(n == (len <= promised ? len : 0), "pool_take keeps pool_ready's word");
	world_see(w, bytes, n);
	if (w->open[i] && w->pick(w->arg, 8) == 0) /* on_room may have closed it */
		pool_delivery_failed(w->pool, h, n);
	else
		w->delivered += n;
}

static inline void
world_wait(struct world *w, unsigned i)
{
	size_t need = 8 * (1 + w->pick(w->arg, POOL_GATHER_MAX / 8));
	struct world_read *r = NULL;

	for (unsigned k = 0; k < WORLD_WAITERS; k++)
		if (w->reads[k].waiter == NULL)
			r = &w->reads[k];
	if (need <= pool_ready(w->pool, &w->handles[i]) || r == NULL)
		return;
	*r = (struct world_read){.world = w, .handle = i, .need = need};
	w->asking = true;
	r->waiter = pool_wait(w->pool, &w->handles[i], need, world_ready, r);
	w->asking = false;
}

static inline void
world_cancel(struct world *w)
{
	struct world_read *r = &w->reads[w->pick(w->arg, WORLD_WAITERS)];

	if (r->waiter != NULL)
		world_read_end(w, r, w->pick(w->arg, 2) == 0);
}

static inline void
world_arm(struct world *w, unsigned i)
{
	bool less = pool_ready(w->pool, &w->handles[i]) < POOL_QUANTUM, armed;

	if (w->handles[i].whole)
		return;
	armed = pool_poll_arm(w->pool, &w->handles[i], world_poll_ready, &w->polls[i]);

	world_check(armed ? less || w->polls[i].armed : !w->polls[i].armed,
		    "arms when less than a turn is ready");
	w->polls[i].armed = armed;
}

/* ---- what must hold ---- */

static inline void
world_check_accounts(const struct world *w, const struct pool_totals *t)
{
	uint64_t delivered = 0, lost = t->wiped;

	for (unsigned i = 0; i < WORLD_ACCOUNTS; i++) {
		delivered += w->accounts[i].delivered;
		lost += w->accounts[i].lost;
	}
	world_check(t->in == 8 * (uint64_t)w->next, "in is what was put");
	world_check(t->in == t->delivered + t->lost + t->held, "in = delivered + lost + held");
	world_check(t->delivered == delivered && t->lost == lost, "accounts sum up to the totals");
	world_check(t->delivered == w->delivered, "delivered is what came out");
}

/* Where held bytes are, and how many wait. */
static inline void
world_check_held(const struct world *w, const struct pool_totals *t)
{
	uint64_t held = t->level, slots = 0, open = 0;

	for (unsigned i = 0; i < WORLD_HANDLES; i++) {
		held += w->open[i] ? w->handles[i].stash_len : 0;
		open += w->open[i];
		slots += w->polls[i].armed;
	}
	for (unsigned i = 0; i < WORLD_WAITERS; i++) {
		const struct world_read *r = &w->reads[i];
		size_t len;

		if (r->waiter == NULL)
			continue;
		pool_waiter_bytes(r->waiter, &len);
		world_check(r->answered ? len == r->need : len < r->need,
			    "ready when all is there");
		world_check(r->answered || len == 0 || !w->handles[r->handle].whole,
			    "a whole request gathers nothing");
		held += len;
		slots++;
	}
	world_check(t->held == held && t->handles == open && t->waiters == slots,
		    "held, handles and waiters are what is there");
	world_check(w->wanted == 0 || pool_room(w->pool) < w->wanted, "on_room was called");
}

/* More than this, in bytes, and one of those who wait would be served; SIZE_MAX: nobody waits. */
static inline size_t
world_blocked_below(const struct world *w, bool privileged)
{
	size_t below = SIZE_MAX;

	for (unsigned i = 0; i < WORLD_HANDLES; i++)
		if (w->polls[i].armed && w->privileged[i] == privileged)
			below = 1;
	for (unsigned i = 0; i < WORLD_WAITERS; i++) {
		const struct world_read *r = &w->reads[i];
		size_t one;

		if (r->waiter == NULL || r->answered || w->privileged[r->handle] != privileged)
			continue;
		one = w->handles[r->handle].whole ? r->need : 1;
		below = below == SIZE_MAX || one > below ? one : below;
	}
	return below;
}

static inline void
world_check_reserve(const struct world *w, const struct pool_totals *t)
{
	size_t common = world_blocked_below(w, false), privileged = world_blocked_below(w, true);
	size_t full = t->level < WORLD_RESERVE ? t->level : WORLD_RESERVE;

	world_check(t->reserved <= full, "the reserve is of the ring");
	world_check(common != SIZE_MAX || t->reserved == full, "its last bytes if nobody waits");
	world_check(pool_level(w->pool) == t->level - t->reserved, "the rest is for all");
	world_check(t->level - t->reserved < common, "nobody waits beside what he needs");
	world_check((common == SIZE_MAX ? t->level : t->reserved) < privileged,
		    "nor the privileged");
}

static inline void
world_check_all(const struct world *w)
{
	struct pool_totals totals;

	pool_totals(w->pool, &totals);
	world_check_accounts(w, &totals);
	world_check_held(w, &totals);
	world_check_reserve(w, &totals);
}

/* All that is held is in secret memory once; all that was handed over or lost is not. */
static inline void
world_check_wiped(const struct world *w)
{
	const uint32_t tag = WORLD_TAG;
	struct pool_totals totals;

	pool_totals(w->pool, &totals);
	world_check(secret_scan(&tag, sizeof(tag)) == totals.held / 8, "what left is wiped");
}

/* ---- its life ---- */

static inline void
world_handle_step(struct world *w, unsigned what, unsigned i)
{
	if (!w->open[i])
		world_open(w, i);
	else if (what < 3)
		world_take(w, i);
	else if (what < 8)
		world_wait(w, i);
	else if (what < 11)
		world_arm(w, i);
	else if (w->pick(w->arg, 2) == 0)
		world_close(w, i);
}

static inline void
world_step(struct world *w)
{
	unsigned what = w->pick(w->arg, 24), i = w->pick(w->arg, WORLD_HANDLES);

	if (what < 12)
		world_handle_step(w, what, i);
	else if (what < 14)
		world_cancel(w);
	else if (what == 14 && w->pick(w->arg, 16) == 0)
		pool_wipe(w->pool);
	else if (what == 15 && w->pick(w->arg, 4) == 0)
		w->plenty = !w->plenty;
	else
		world_put(w);
	if (w->depth == 0)
		world_check_all(w);
}

static inline void
world_begin(struct world *w, unsigned (*pick)(void *arg, unsigned below), void *arg)
{
	const struct pool_config config = {.size = WORLD_SIZE,
					   .max_handles = WORLD_HANDLES - 1,
					   .max_waiters = WORLD_WAITERS,
					   .reserve = WORLD_RESERVE};

	memset(w, 0, sizeof(*w));
	w->pick = pick;
	w->arg = arg;
	w->pool = pool_new(&config);
	world_check(w->pool != NULL, "memory");
	pool_on_room(w->pool, world_on_room, w);
	for (unsigned i = 0; i < WORLD_HANDLES; i++)
		w->polls[i].world = w;
}

static inline void
world_end(struct world *w)
{
	w->depth = WORLD_DEPTH; /* nobody opens what was closed */
	for (unsigned i = 0; i < WORLD_HANDLES; i++)
		if (w->open[i])
			world_close(w, i);
	world_check_all(w);
	pool_free(&w->pool);
}

#endif
