/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is (pool/circle.h): identities take turns of their weight, IPv6 addresses within
 * the turns of their network, and within an identity its handles take turns of POOL_QUANTUM; a
 * handle's own requests are served in the order in which they came, its poll after them (a program
 * that polled and then reads must not wait for both, and shall read in the stream's order).
 */
#ifndef POOL_QUEUE_H
#define POOL_QUEUE_H

#include "pool/identities.h"
#include "pool/pool.h"

struct pool_waiter {
	struct pool_handle *handle;
	TAILQ_ENTRY(pool_waiter) order; /* in handle->waiters or handle->answered */
	pool_ready_fn *ready;
	void *arg;
	bool answered;      /* out of the queue: its outlet has to end it */
	unsigned need, len; /* bytes wanted, gathered; a poll gathers in its handle's stash */
	uint8_t bytes[POOL_GATHER_MAX];
};

struct queue {
	struct circle circle; /* of identities */
	unsigned waiting;     /* requests and polls */
	struct identities *identities;
};

void queue_init(struct queue *q, struct identities *identities);

static inline bool
queue_is_empty(const struct queue *q)
{
	return q->waiting == 0;
}

/* `w` joins its handle's waiters, in its identity's queue. */
void queue_join(struct pool_waiter *w);

/* `w` leaves, wherever it stands. */
void queue_leave(struct pool_waiter *w);

/*
 * Whose turn it is, and for how many more bytes at least 1; NULL when nobody waits. To be asked
 * only when there are bytes: who has none to wait for any more is passed over.
 */
struct pool_waiter *queue_next(struct queue *q, size_t *ret_most);

/* The one of queue_next() was given `n` bytes, perhaps more than its turn had. */
void queue_spend(struct pool_waiter *w, size_t n);

#endif
