/* SPDX-License-Identifier: MIT */
#include "pool/queue.h"

#include <limits.h>

void
queue_init(struct queue *q, struct identities *identities)
{
	*q = (struct queue){.identities = identities};
	TAILQ_INIT(&q->circle);
}

void
queue_join(struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	if (h->poll != NULL && h->poll != w)
		TAILQ_INSERT_BEFORE(h->poll, w, order);
	else
		TAILQ_INSERT_TAIL(&h->waiters, w, order);
	for (struct place *p = &h->place; p != NULL; p = p->outer)
		circle_join(p);
	h->identity->queue->waiting++;
}

void
queue_leave(struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	TAILQ_REMOVE(&h->waiters, w, order);
	for (struct place *p = &h->place; p != NULL; p = p->outer)
		p->waiting--;
	h->identity->queue->waiting--;
}

/* Some place of these does wait, so that this comes to an end: each pass pays a debt. */
static struct place *
circle_turn(struct queue *q, const struct circle *circle)
{
	struct place *p;

	while (p = TAILQ_FIRST(circle), !place_has_turn(p)) {
		if (!circle_pass(p) && p->inner != NULL)
			identities_paid(q->identities, p->owner);
	}
	return p;
}

struct pool_waiter *
queue_next(struct queue *q, size_t *ret_most)
{
	const struct circle *circle = &q->circle;
	const struct pool_handle *h;
	struct place *p;
	int left = INT_MAX;

	if (queue_is_empty(q))
		return NULL;
	do {
		p = circle_turn(q, circle);
		left = p->left < left ? p->left : left;
	} while ((circle = p->inner) != NULL);
	*ret_most = (size_t)left;
	h = p->owner;
	return TAILQ_FIRST(&h->waiters);
}

void
queue_spend(struct pool_waiter *w, size_t n)
{
	for (struct place *p = &w->handle->place; p != NULL; p = p->outer)
		p->left -= (int)n;
}
