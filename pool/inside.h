/* SPDX-License-Identifier: MIT */
/* What pool.c (bytes, accounts) and wait.c (those who wait for them) share; for nobody else. */
#ifndef POOL_INSIDE_H
#define POOL_INSIDE_H

#include "pool/identities.h"
#include "pool/pool.h"
#include "pool/queue.h"
#include "pool/ring.h"
#include "pool/slots.h"

#define POOL_ROOM_NOT_WANTED SIZE_MAX

struct pool {
	struct ring ring;
	struct queue queue;
	bool serving; /* pool_serve() is at work: calls from inside it leave the queue to it */
	struct slots waiters, stashes; /* one stash for each open handle */
	struct identities identities;
	unsigned identity_share; /* waiters that one identity may hold */
	LIST_HEAD(open_handles, pool_handle) handles;
	uint64_t in, delivered, lost, wiped; /* as in pool_totals */
	uint64_t granted;                    /* bytes with waiters and in stashes */
	size_t room_wanted; /* smallest that was refused, or POOL_ROOM_NOT_WANTED */
	void (*on_room)(void *arg);
	void *on_room_arg;
	void (*on_wanted)(void *arg);
	void *on_wanted_arg;
};

/* ---- pool.c ---- */

/* Bytes that were granted to a handle reach their end. */
void pool_settle(struct pool *pool, struct pool_handle *h, size_t len, bool delivered);

/* Tells those who were refused room; the last thing that a call does that took from the ring. */
void pool_drained(struct pool *pool);

/* Moves the oldest bytes of the stash, at most `len`, to `ret`. They stay granted. */
size_t pool_stash_take(struct pool_handle *h, uint8_t *ret, size_t len);

/* ---- wait.c ---- */

/* Gives the ring's bytes to those who wait, turn by turn, until one of them has come to its end. */
void pool_serve(struct pool *pool);

/* Ends all of a handle's waiters as lost. */
void pool_waiters_cancel(struct pool *pool, struct pool_handle *h);

/* Wipes what a handle's queued waiters have gathered; they go on waiting. */
void pool_waiters_wipe(struct pool *pool, struct pool_handle *h);

#endif
