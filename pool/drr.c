/* SPDX-License-Identifier: MIT */
#include "pool/drr.h"

#include <assert.h>
#include <limits.h>

/* ---- flows ---- */

static void
flow_join(struct pool_flow *f)
{
	f->waiting++;
	if (f->queued)
		return;
	f->queued = true;
	f->deficit = (int)f->quantum;
	TAILQ_INSERT_TAIL(f->round, f, next);
}

/* Removes it from its round at once; its debt is forgotten. */
static void
flow_remove(struct pool_flow *f)
{
	if (f->queued)
		TAILQ_REMOVE(f->round, f, next);
	f->queued = false;
}

/* ---- identities ---- */

/* Knuth's multiplier: uids and addresses that follow each other land in different buckets. */
static struct drr_bucket *
bucket_of(struct drr *d, const struct pool_client *client)
{
	uint64_t hash = (client->number + client->host) * UINT64_C(0x9e3779b97f4a7c15);

	return &d->buckets[hash >> 32 & (DRR_BUCKETS - 1)];
}

static struct pool_identity *
identity_new(struct drr *d, const struct pool_client *client, struct drr_queue *q,
	     struct pool_identity *network)
{
	struct pool_identity *i = slab_take(&d->identities);

	assert(i != NULL); /* there is one for each handle, its network and each debt */
	i->kind = client->kind;
	i->number = client->number;
	i->host = client->host;
	i->queue = q;
	i->network = network;
	i->flow.round = network != NULL ? &network->round : &q->round;
	i->flow.outer = network != NULL ? &network->flow : NULL;
	i->flow.inner = &i->round;
	i->flow.owner = i;
	TAILQ_INIT(&i->round);
	LIST_INSERT_HEAD(bucket_of(d, client), i, neighbour);
	return i;
}

/* Returns the identity of `client`: one that came back has its debt, and the weight of now. */
static struct pool_identity *
identity_get(struct drr *d, const struct pool_client *client, struct drr_queue *q,
	     struct pool_identity *network)
{
	struct pool_identity *i = LIST_FIRST(bucket_of(d, client));

	while (i != NULL && (i->number != client->number || i->host != client->host ||
			     i->kind != client->kind || i->queue != q))
		i = LIST_NEXT(i, neighbour);
	if (i == NULL)
		return identity_new(d, client, q, network);
	if (i->handles == 0) {
		d->owing--;
		i->flow.quantum = 0;
	}
	return i;
}

static void
identity_free(struct drr *d, struct pool_identity *i)
{
	flow_remove(&i->flow);
	LIST_REMOVE(i, neighbour);
	slab_give(&d->identities, i);
}

/* Its flow has left the round. Without handles it was kept for its debt only. */
static void
identity_left(struct drr *d, struct pool_identity *i)
{
	if (i->handles > 0)
		return;
	d->owing--;
	identity_free(d, i);
}

/* When no address of a network waits, their debts to each other are void. */
static void
forgive_addresses(struct drr *d, struct pool_identity *network)
{
	struct pool_flow *f;

	while ((f = TAILQ_FIRST(&network->round)) != NULL && f->inner != NULL) {
		flow_remove(f);
		identity_left(d, f->owner);
	}
}

/* Counts one more handle. NULL when the identity, or its network, has its share of them. */
static struct pool_identity *
identity_join(struct drr *d, const struct pool_client *client, struct drr_queue *q)
{
	struct pool_identity *identity = NULL;
	struct pool_client network;

	if (pool_client_network(client, &network))
		identity = identity_get(d, &network, q, NULL);
	if (identity == NULL || identity->handles < d->share)
		identity = identity_get(d, client, q, identity);
	if (identity_outer(identity)->handles >= d->share)
		return NULL;
	for (struct pool_identity *i = identity; i != NULL; i = i->network) {
		if (client->weight * POOL_QUANTUM > i->flow.quantum)
			i->flow.quantum = client->weight * POOL_QUANTUM;
		i->handles++;
	}
	return identity;
}

/* Counts one handle less. The last one takes the identity with it, unless that has a debt. */
static void
identity_leave(struct drr *d, struct pool_identity *identity)
{
	struct pool_identity *network;

	for (; identity != NULL; identity = network) {
		network = identity->network;
		if (--identity->handles > 0)
			continue;
		if (identity->flow.queued && identity->flow.deficit < 0 &&
		    d->owing < d->owing_max) {
			d->owing++;
			continue;
		}
		forgive_addresses(d, identity);
		identity_free(d, identity);
	}
}

/* ---- the module's calls ---- */

bool
drr_init(struct drr *d, unsigned max)
{
	for (size_t i = 0; i < DRR_BUCKETS; i++)
		LIST_INIT(&d->buckets[i]);
	d->share = max / 4 > 0 ? max / 4 : 1;
	d->owing_max = max / 8;
	return slab_init(&d->identities, sizeof(struct pool_identity), 2 * max + d->owing_max);
}

void
drr_finish(struct drr *d)
{
	slab_finish(&d->identities);
}

void
drr_queue_init(struct drr_queue *q)
{
	q->waiting = 0;
	TAILQ_INIT(&q->round);
}

bool
drr_open(struct drr *d, struct pool_handle *h, const struct pool_client *client,
	 struct drr_queue *q)
{
	h->identity = identity_join(d, client, q);
	if (h->identity == NULL)
		return false;
	h->flow = (struct pool_flow){.round = &h->identity->round,
				     .outer = &h->identity->flow,
				     .owner = h,
				     .quantum = POOL_QUANTUM};
	return true;
}

void
drr_close(struct drr *d, struct pool_handle *h)
{
	flow_remove(&h->flow);
	identity_leave(d, h->identity);
}

void
drr_join(struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	if (h->poll != NULL && h->poll != w)
		TAILQ_INSERT_BEFORE(h->poll, w, order);
	else
		TAILQ_INSERT_TAIL(&h->waiters, w, order);
	for (struct pool_flow *f = &h->flow; f != NULL; f = f->outer)
		flow_join(f);
	h->identity->queue->waiting++;
}

void
drr_leave(struct pool_waiter *w)
{
	struct pool_handle *h = w->handle;

	TAILQ_REMOVE(&h->waiters, w, order);
	for (struct pool_flow *f = &h->flow; f != NULL; f = f->outer)
		f->waiting--;
	h->identity->queue->waiting--;
}

/*
 * Returns the first flow with a turn. A flow without one goes last, with another turn, or leaves
 * the round when it has neither waiters nor a debt. Some flow waits, so this ends.
 */
static struct pool_flow *
round_next(struct drr *d, struct pool_round *round)
{
	struct pool_flow *f;

	while (f = TAILQ_FIRST(round), f->waiting == 0 || f->deficit <= 0) {
		TAILQ_REMOVE(round, f, next);
		if (f->waiting > 0 || f->deficit < 0) {
			f->deficit += (int)f->quantum;
			TAILQ_INSERT_TAIL(round, f, next);
			continue;
		}
		f->queued = false;
		if (f->inner != NULL) {
			forgive_addresses(d, f->owner);
			identity_left(d, f->owner);
		}
	}
	return f;
}

struct pool_waiter *
drr_next(struct drr *d, struct drr_queue *q, size_t *ret_most)
{
	struct pool_round *round = &q->round;
	const struct pool_handle *h;
	struct pool_flow *f;
	int most = INT_MAX;

	if (q->waiting == 0)
		return NULL;
	do {
		f = round_next(d, round);
		most = f->deficit < most ? f->deficit : most;
	} while ((round = f->inner) != NULL);
	*ret_most = (size_t)most;
	h = f->owner;
	return TAILQ_FIRST(&h->waiters);
}

void
drr_spend(struct pool_waiter *w, size_t n)
{
	for (struct pool_flow *f = &w->handle->flow; f != NULL; f = f->outer)
		f->deficit -= (int)n;
}
