/* SPDX-License-Identifier: MIT */
#include "egd/members.h"

#include <stdlib.h>

void
egd_members_init(struct egd_members *members, unsigned left_max)
{
	*members = (struct egd_members){.left_max = left_max};
	for (size_t i = 0; i < EGD_MEMBERS_BUCKETS; i++)
		LIST_INIT(&members->buckets[i]);
	TAILQ_INIT(&members->left);
}

/* Of one that has no connection. */
static void
forget(struct egd_members *members, struct egd_member *m)
{
	TAILQ_REMOVE(&members->left, m, in_left);
	members->left_count--;
	LIST_REMOVE(m, neighbour);
	free(m);
}

void
egd_members_finish(struct egd_members *members)
{
	while (!TAILQ_EMPTY(&members->left))
		forget(members, TAILQ_FIRST(&members->left)); /* NOLINT: it takes it out */
}

/* Addresses of one network differ in their last bits: they spread over the buckets as they are. */
static struct egd_members_bucket *
bucket_of(struct egd_members *members, uint64_t number)
{
	return &members->buckets[(number ^ number >> 8 ^ number >> 32) % EGD_MEMBERS_BUCKETS];
}

static struct egd_member *
find(struct egd_members *members, const struct pool_client *client)
{
	struct egd_member *m;

	LIST_FOREACH(m, bucket_of(members, client->number), neighbour)
	if (m->kind == client->kind && m->number == client->number)
		return m;
	return NULL;
}

static struct egd_member *
new_member(struct egd_members *members, const struct pool_client *client, const struct bucket *full)
{
	struct egd_member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->kind = client->kind;
	m->number = client->number;
	m->allowance = *full;
	LIST_INSERT_HEAD(bucket_of(members, client->number), m, neighbour);
	return m;
}

bool
egd_members_has(struct egd_members *members, const struct pool_client *client)
{
	const struct egd_member *m = find(members, client);

	return m != NULL && m->connections > 0;
}

struct egd_member *
egd_members_join(struct egd_members *members, const struct pool_client *client,
		 const struct bucket *full)
{
	struct egd_member *m = find(members, client);

	if (m == NULL) {
		m = new_member(members, client, full);
	} else if (m->connections == 0) {
		TAILQ_REMOVE(&members->left, m, in_left);
		members->left_count--;
	}
	if (m != NULL)
		m->connections++;
	return m;
}

void
egd_members_leave(struct egd_members *members, struct egd_member *m)
{
	if (--m->connections > 0)
		return;
	TAILQ_INSERT_TAIL(&members->left, m, in_left);
	if (++members->left_count > members->left_max)
		forget(members, TAILQ_FIRST(&members->left));
}
