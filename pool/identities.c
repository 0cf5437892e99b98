/* SPDX-License-Identifier: MIT */
#include "pool/identities.h"

#include "pool/queue.h"

bool
identities_init(struct identities *ids, unsigned max)
{
	for (size_t i = 0; i < IDENTITIES_BUCKETS; i++)
		LIST_INIT(&ids->buckets[i]);
	ids->share = max / 4 > 0 ? max / 4 : 1;
	ids->owing_max = max / 8;
	return slots_init(&ids->slots, sizeof(struct pool_identity), max + ids->owing_max);
}

void
identities_finish(struct identities *ids)
{
	slots_finish(&ids->slots);
}

/* Knuth's multiplier: uids and addresses that follow each other land in different buckets. */
static size_t
bucket_of(uint64_t number)
{
	return number * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (IDENTITIES_BUCKETS - 1);
}

static struct pool_identity *
identity_find(struct identities *ids, const struct pool_client *client, const struct queue *queue)
{
	struct pool_identity *i;

	LIST_FOREACH(i, &ids->buckets[bucket_of(client->number)], neighbour)
	if (i->number == client->number && i->kind == client->kind && i->queue == queue)
		return i;
	return NULL;
}

static struct pool_identity *
identity_new(struct identities *ids, const struct pool_client *client, struct queue *queue)
{
	struct pool_identity *identity = slots_take(&ids->slots);

	if (identity == NULL)
		return NULL;
	identity->kind = client->kind;
	identity->number = client->number;
	identity->queue = queue;
	identity->place.owner = identity;
	TAILQ_INIT(&identity->circle);
	LIST_INSERT_HEAD(&ids->buckets[bucket_of(client->number)], identity, neighbour);
	return identity;
}

static void
identity_free(struct identities *ids, struct pool_identity *identity)
{
	circle_remove(&identity->queue->circle, &identity->place);
	LIST_REMOVE(identity, neighbour);
	slots_give(&ids->slots, identity);
}

/* One who came back: with the weight of today, and what it owes. */
static void
identity_revive(struct identities *ids, struct pool_identity *identity)
{
	ids->owing--;
	identity->place.quantum = 0;
}

struct pool_identity *
identities_join(struct identities *ids, const struct pool_client *client, struct queue *queue)
{
	struct pool_identity *identity = identity_find(ids, client, queue);
	unsigned quantum = client->weight * POOL_QUANTUM;

	if (identity == NULL)
		identity = identity_new(ids, client, queue);
	else if (identity->handles == 0)
		identity_revive(ids, identity);
	if (identity == NULL || identity->handles >= ids->share)
		return NULL;
	if (quantum > identity->place.quantum)
		identity->place.quantum = quantum;
	identity->handles++;
	return identity;
}

void
identities_leave(struct identities *ids, struct pool_identity *identity)
{
	if (--identity->handles > 0)
		return;
	if (place_owes(&identity->place) && ids->owing < ids->owing_max)
		ids->owing++;
	else
		identity_free(ids, identity);
}

void
identities_paid(struct identities *ids, struct pool_identity *identity)
{
	if (identity->handles > 0)
		return;
	ids->owing--;
	identity_free(ids, identity);
}
