/* SPDX-License-Identifier: MIT */
#include "pool/identities.h"

bool
identities_init(struct identities *ids, unsigned max)
{
	for (size_t i = 0; i < IDENTITIES_BUCKETS; i++)
		LIST_INIT(&ids->buckets[i]);
	ids->share = max / 4 > 0 ? max / 4 : 1;
	return slots_init(&ids->slots, sizeof(struct pool_identity), max);
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
identity_new(struct identities *ids, unsigned kind, uint64_t number)
{
	struct pool_identity *identity = slots_take(&ids->slots);

	if (identity == NULL)
		return NULL;
	identity->kind = kind;
	identity->number = number;
	TAILQ_INIT(&identity->waiting);
	LIST_INSERT_HEAD(&ids->buckets[bucket_of(number)], identity, neighbour);
	return identity;
}

struct pool_identity *
identities_join(struct identities *ids, unsigned kind, uint64_t number)
{
	struct pool_identity *identity;

	LIST_FOREACH(identity, &ids->buckets[bucket_of(number)], neighbour)
	if (identity->kind == kind && identity->number == number)
		break;
	if (identity == NULL)
		identity = identity_new(ids, kind, number);
	if (identity == NULL || identity->handles >= ids->share)
		return NULL;
	identity->handles++;
	return identity;
}

void
identities_leave(struct identities *ids, struct pool_identity *identity)
{
	if (--identity->handles > 0)
		return;
	LIST_REMOVE(identity, neighbour);
	slots_give(&ids->slots, identity);
}
