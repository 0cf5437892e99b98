/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is: deficit round robin at two levels. Identities that wait stand in a circle, and
 * within each its handles that wait do; a handle's own requests are served in the order in which
 * they came, its poll after them (a program that polled and then reads must not wait for both, and
 * shall read in the stream's order). A turn is POOL_QUANTUM bytes at either level: what is left of
 * it is kept while there is nothing to give, and gone when its owner has nothing to wait for.
 */
#ifndef POOL_QUEUE_H
#define POOL_QUEUE_H

#include "pool/pool.h"

struct pool_waiter {
	struct pool_handle *handle;
	TAILQ_ENTRY(pool_waiter) order; /* in handle->waiters or handle->answered */
	pool_ready_fn *ready;
	void *arg;
	bool answered;    /* out of the queue: its outlet has to end it */
	size_t need, len; /* bytes wanted, gathered; a poll gathers in its handle's stash */
	uint8_t bytes[POOL_GATHER_MAX];
};

struct pool_identity {
	unsigned kind;
	uint64_t number;
	unsigned handles;   /* open */
	unsigned waiters;   /* slots that its handles hold */
	unsigned turn_left; /* bytes, while it waits */
	/* In turn; when not empty the identity itself stands in the queue. */
	TAILQ_HEAD(waiting_handles, pool_handle) waiting;
	TAILQ_ENTRY(pool_identity) turn;     /* in queue->waiting */
	LIST_ENTRY(pool_identity) neighbour; /* in its bucket of `struct identities` */
};

struct queue {
	TAILQ_HEAD(waiting_identities, pool_identity) waiting; /* in turn */
};

void queue_init(struct queue *q);

static inline bool
queue_is_empty(const struct queue *q)
{
	return TAILQ_EMPTY(&q->waiting);
}

/* `w` joins its handle's waiters; a handle or an identity that did not wait goes last. */
void queue_join(struct queue *q, struct pool_waiter *w);

/* `w` leaves, wherever it stands. */
void queue_leave(struct queue *q, struct pool_waiter *w);

/* Whose turn it is, and for how many more bytes at least 1; NULL when nobody waits. */
struct pool_waiter *queue_next(const struct queue *q, size_t *ret_most);

/* The one of queue_next() was given `n` of these bytes; a turn that is used up goes on. */
void queue_spend(struct queue *q, size_t n);

#endif
