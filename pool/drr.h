/* SPDX-License-Identifier: MIT */
/*
 * The fair queue of the pool: deficit round robin by bytes, private to the pool. Identities take
 * turns of their weight; IPv6 addresses share the turns of their network; the handles of an
 * identity share its turns, POOL_QUANTUM bytes each. The requests of a handle are served in the
 * order in which they came, its poll after them (a program that polled and then reads must not
 * wait for both, and must read in the stream's order).
 *
 * A turn is `quantum` bytes; the rest of one is kept while there are no bytes to give. A flow that
 * was given more than it had left has a debt, and is passed over until its turns have paid it. A
 * flow without waiters stays in its round until its turn comes and its debt is paid: leaving early
 * and coming back costs nothing, and gains nothing. The same holds for identities without handles,
 * or each new connection would begin without the debt.
 */
#ifndef POOL_DRR_H
#define POOL_DRR_H

#include "pool/pool.h"
#include "pool/slab.h"

#define DRR_BUCKETS 1024 /* 10,000 identities: 10 steps to open a handle, none elsewhere */

struct pool_waiter {
	struct pool_handle *handle;
	TAILQ_ENTRY(pool_waiter) order; /* in handle->waiters or handle->answered */
	pool_ready_fn *ready;
	void *arg;
	bool answered;      /* out of the queue: its outlet has to end it */
	unsigned need, len; /* bytes wanted, gathered; a poll gathers in its handle's stash */
	uint8_t bytes[POOL_GATHER_MAX];
};

struct drr_queue {
	struct pool_round round; /* of identities */
	unsigned waiting;        /* requests and polls */
};

/* Each queue has identities of its own. */
struct pool_identity {
	enum identity_kind kind;
	uint64_t number, host;
	struct drr_queue *queue;
	struct pool_identity *network;       /* of an IPv6 address, else NULL */
	unsigned handles;                    /* open; of a network: its addresses' */
	unsigned waiters;                    /* slots that its handles hold; not of an address */
	struct pool_flow flow;               /* in its network's round, or the queue's */
	struct pool_round round;             /* of its handles, or its addresses */
	LIST_ENTRY(pool_identity) neighbour; /* in its bucket */
};

/* Returns the identity that shares with all others. */
static inline struct pool_identity *
identity_outer(struct pool_identity *identity)
{
	return identity->network != NULL ? identity->network : identity;
}

struct drr {
	LIST_HEAD(drr_bucket, pool_identity) buckets[DRR_BUCKETS];
	struct slab identities;
	unsigned share;            /* handles that one, or a network, may have: a quarter */
	unsigned owing, owing_max; /* identities without handles: one for eight handles */
};

/* For at most `max` handles. False when memory cannot be had. */
bool drr_init(struct drr *d, unsigned max);
void drr_finish(struct drr *d);
void drr_queue_init(struct drr_queue *q);

/* Gives the handle its identity in `q`; false when that has its share of handles. */
bool drr_open(struct drr *d, struct pool_handle *h, const struct pool_client *client,
	      struct drr_queue *q);
void drr_close(struct drr *d, struct pool_handle *h);

/* `w` joins the waiters of its handle, in its identity's queue; or leaves them. */
void drr_join(struct pool_waiter *w);
void drr_leave(struct pool_waiter *w);

/*
 * Returns the waiter whose turn it is, and for how many more bytes at least 1; NULL: none waits.
 * Only to be called when there are bytes: a flow whose turn comes without a waiter loses it.
 */
struct pool_waiter *drr_next(struct drr *d, struct drr_queue *q, size_t *ret_most);

/* The waiter of drr_next() was given `n` bytes, perhaps more than its turn had. */
void drr_spend(struct pool_waiter *w, size_t n);

#endif
