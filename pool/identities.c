/* SPDX-License-Identifier: MIT */
#include "pool/identities.h"

#include <assert.h>

#include "pool/queue.h"

bool
identities_init(struct identities *ids, unsigned max)
{
	for (size_t i = 0; i < IDENTITIES_BUCKETS; i++)
		LIST_INIT(&ids->buckets[i]);
	ids->share = max / 4 > 0 ? max / 4 : 1;
	ids->owing_max = max / 8;
	return slots_init(&ids->slots, sizeof(struct pool_identity), 2 * max + ids->owing_max);
}

void
identities_finish(struct identities *ids)
{
	slots_finish(&ids->slots);
}

/* Knuth's multiplier: uids and addresses that follow each other land in different buckets. */
static size_t
bucket_of(const struct pool_client *client)
{
	return (client->number + client->host) * UINT64_C(0x9e3779b97f4a7c15) >> 32 &
	       (IDENTITIES_BUCKETS - 1);
}

static struct pool_identity *
identity_find(struct identities *ids, const struct pool_client *client, const struct queue *queue)
{
	struct pool_identity *i;

	LIST_FOREACH(i, &ids->buckets[bucket_of(client)], neighbour)
	if (i->number == client->number && i->host == client->host && i->kind == client->kind &&
	    i->queue == queue)
		return i;
	return NULL;
}

static struct pool_identity *
identity_new(struct identities *ids, const struct pool_client *client, struct queue *queue,
	     struct pool_identity *network)
{
	struct pool_identity *identity = slots_take(&ids->slots);

	assert(identity != NULL); /* there is one for each handle, its network and each debt */
	identity->kind = client->kind;
	identity->number = client->number;
	identity->host = client->host;
	identity->queue = queue;
	identity->network = network;
	identity->place.circle = network != NULL ? &network->circle : &queue->circle;
	identity->place.outer = network != NULL ? &network->place : NULL;
	identity->place.inner = &identity->circle;
	identity->place.owner = identity;
	TAILQ_INIT(&identity->circle);
	LIST_INSERT_HEAD(&ids->buckets[bucket_of(client)], identity, neighbour);
	return identity;
}

static void
identity_free(struct identities *ids, struct pool_identity *identity)
{
	circle_remove(&identity->place);
	LIST_REMOVE(identity, neighbour);
	slots_give(&ids->slots, identity);
}

/* None of a network waits any more: what its addresses owed each other is of no account. */
static void
forgive_addresses(struct identities *ids, struct pool_identity *network)
{
	struct place *p;

	while ((p = TAILQ_FIRST(&network->circle)) != NULL && p->inner != NULL) {
		circle_remove(p);
		identities_paid(ids, p->owner);
	}
}

/* A new one; or one who came back, with the weight of today, and what it owes. */
static struct pool_identity *
identity_have(struct identities *ids, const struct pool_client *client, struct queue *queue,
	      struct pool_identity *network)
{
	struct pool_identity *identity = identity_find(ids, client, queue);

	if (identity == NULL)
		return identity_new(ids, client, queue, network);
	if (identity->handles == 0) {
		ids->owing--;
		identity->place.quantum = 0;
	}
	return identity;
}

struct pool_identity *
identities_join(struct identities *ids, const struct pool_client *client, struct queue *queue)
{
	struct pool_identity *identity = NULL;
	struct pool_client network;

	if (pool_client_network(client, &network))
		identity = identity_have(ids, &network, queue, NULL);
	if (identity == NULL || identity->handles < ids->share)
		identity = identity_have(ids, client, queue, identity);
	if (identity_first(identity)->handles >= ids->share)
		return NULL;
	for (struct pool_identity *i = identity; i != NULL; i = i->network) {
		if (client->weight * POOL_QUANTUM > i->place.quantum)
			i->place.quantum = client->weight * POOL_QUANTUM;
		i->handles++;
	}
	return identity;
}

void
identities_leave(struct identities *ids, struct pool_identity *identity)
{
	struct pool_identity *network;

	for (; identity != NULL; identity = network) {
		network = identity->network;
		if (--identity->handles > 0)
			continue;
		if (place_owes(&identity->place) && ids->owing < ids->owing_max) {
			ids->owing++;
			continue;
		}
		forgive_addresses(ids, identity);
		identity_free(ids, identity);
	}
}

void
identities_paid(struct identities *ids, struct pool_identity *identity)
{
	forgive_addresses(ids, identity);
	if (identity->handles > 0)
		return;
	ids->owing--;
	identity_free(ids, identity);
}
