/* SPDX-License-Identifier: MIT */
#include "pool/queue.h"

#include <assert.h>

void
queue_init(struct queue *q)
{
	TAILQ_INIT(&q->waiting);
}

static void
identity_join(struct queue *q, struct pool_identity *identity)
{
	identity->turn_left = POOL_QUANTUM;
	TAILQ_INSERT_TAIL(&q->waiting, identity, turn);
}

static void
handle_join(struct pool_handle *h)
{
	h->turn_left = POOL_QUANTUM;
	TAILQ_INSERT_TAIL(&h->identity->waiting, h, turn);
}

void
queue_join(struct queue *q, struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	if (TAILQ_EMPTY(&h->identity->waiting))
		identity_join(q, h->identity);
	if (TAILQ_EMPTY(&h->waiters))
		handle_join(h);
	if (h->poll != NULL && h->poll != w)
		TAILQ_INSERT_BEFORE(h->poll, w, order);
	else
		TAILQ_INSERT_TAIL(&h->waiters, w, order);
}

void
queue_leave(struct queue *q, struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	TAILQ_REMOVE(&h->waiters, w, order);
	if (!TAILQ_EMPTY(&h->waiters))
		return;
	TAILQ_REMOVE(&h->identity->waiting, h, turn);
	if (TAILQ_EMPTY(&h->identity->waiting))
		TAILQ_REMOVE(&q->waiting, h->identity, turn);
}

struct pool_waiter *
queue_next(const struct queue *q, size_t *ret_most)
{
	const struct pool_identity *identity = TAILQ_FIRST(&q->waiting);
	const struct pool_handle *h;

	if (identity == NULL)
		return NULL;
	h = TAILQ_FIRST(&identity->waiting);
	*ret_most = identity->turn_left < h->turn_left ? identity->turn_left : h->turn_left;
	return TAILQ_FIRST(&h->waiters);
}

void
queue_spend(struct queue *q, size_t n)
{
	struct pool_identity *identity = TAILQ_FIRST(&q->waiting);
	struct pool_handle *h = TAILQ_FIRST(&identity->waiting);

	assert(n <= identity->turn_left && n <= h->turn_left);
	h->turn_left -= (unsigned)n;
	if (h->turn_left == 0) {
		TAILQ_REMOVE(&identity->waiting, h, turn);
		handle_join(h);
	}
	identity->turn_left -= (unsigned)n;
	if (identity->turn_left == 0) {
		TAILQ_REMOVE(&q->waiting, identity, turn);
		identity_join(q, identity);
	}
}
