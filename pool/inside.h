/* SPDX-License-Identifier: MIT */
/*
 * What pool.c (bytes, accounts), wait.c (those who wait for them) and reserve.c (who may have
 * which) share; for nobody else.
 */
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
	struct queue common, privileged; /* those who may not, and may, have the reserve */
	size_t reserve_size;
	size_t reserved; /* bytes of the ring, while common is not empty: see reserve_level() */
	bool serving;    /* pool_serve() is at work: calls from inside it leave the queues to it */
	struct slots waiters, stashes;
	struct identities identities;
	unsigned handles_open, handles_max;
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

/* Tells those who were refused room; after that nothing is done by a call that took from the ring.
 */
void pool_drained(struct pool *pool);

/* Moves the oldest bytes of the stash, at most `len`, to `ret`. They stay granted. */
size_t pool_stash_take(struct pool_handle *h, uint8_t *ret, size_t len);

/* ---- reserve.c ---- */

/* Bytes of the ring that are kept for the privileged. */
size_t reserve_level(const struct pool *pool);

/* Takes its part of `len` bytes that are about to come while common is not empty. */
void reserve_refill(struct pool *pool, size_t len);

/* Bytes of the ring that those of `q` may have, one after the other. */
size_t reserve_there(const struct pool *pool, const struct queue *q);

/* Moves at most `len` of those that `h` may have to `ret`, as granted to it; returns how many. */
size_t reserve_take(struct pool *pool, struct pool_handle *h, uint8_t *ret, size_t len);

/* ---- wait.c ---- */

/*
 * Gives the ring's bytes to those who wait, turn by turn, until one of them has come to its end.
 * To be called when bytes came, and when one who may have stood in front has left; the last thing
 * that a call does, as it calls outlets.
 */
void pool_serve(struct pool *pool);

/* Ends all of a handle's waiters as lost, and serves nobody yet. */
void pool_waiters_cancel(struct pool *pool, struct pool_handle *h);

/* Wipes what a handle's queued waiters have gathered; they go on waiting. */
void pool_waiters_wipe(struct pool *pool, struct pool_handle *h);

#endif
