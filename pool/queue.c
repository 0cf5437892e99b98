/* SPDX-License-Identifier: MIT */
#include "pool/queue.h"

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
	struct queue *q = h->identity->queue;

	if (h->poll != NULL && h->poll != w)
		TAILQ_INSERT_BEFORE(h->poll, w, order);
	else
		TAILQ_INSERT_TAIL(&h->waiters, w, order);
	circle_join(&h->identity->circle, &h->place);
	circle_join(&q->circle, &h->identity->place);
	q->waiting++;
}

void
queue_leave(struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	TAILQ_REMOVE(&h->waiters, w, order);
	h->place.waiting--;
	h->identity->place.waiting--;
	h->identity->queue->waiting--;
}

/* Somebody of these does wait, so that both of these come to an end: each pass pays a debt. */
static struct pool_identity *
queue_turn(struct queue *q)
{
	struct place *p;

	while (p = TAILQ_FIRST(&q->circle), !place_has_turn(p)) {
		if (!circle_pass(&q->circle))
			identities_paid(q->identities, p->owner);
	}
	return p->owner;
}

static struct pool_handle *
identity_turn(struct pool_identity *identity)
{
	struct place *p;

	while (p = TAILQ_FIRST(&identity->circle), !place_has_turn(p))
		circle_pass(&identity->circle);
	return p->owner;
}

struct pool_waiter *
queue_next(struct queue *q, size_t *ret_most)
{
	struct pool_identity *identity;
	const struct pool_handle *h;
	int left;

	if (queue_is_empty(q))
		return NULL;
	identity = queue_turn(q);
	h = identity_turn(identity);
	left = identity->place.left < h->place.left ? identity->place.left : h->place.left;
	*ret_most = (size_t)left;
	return TAILQ_FIRST(&h->waiters);
}

void
queue_spend(struct pool_waiter *w, size_t n)
{
	w->handle->place.left -= (int)n;
	w->handle->identity->place.left -= (int)n;
}
