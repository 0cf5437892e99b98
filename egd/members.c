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
bucket_of(struct egd_members *members, const struct pool_client *client)
{
	uint64_t number = client->number ^ client->host;

	return &members->buckets[(number ^ number >> 8 ^ number >> 32) % EGD_MEMBERS_BUCKETS];
}

static struct egd_member *
find(struct egd_members *members, const struct pool_client *client)
{
	struct egd_member *m;

	LIST_FOREACH(m, bucket_of(members, client), neighbour)
	if (m->kind == client->kind && m->number == client->number && m->host == client->host)
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
	m->host = client->host;
	m->allowance = *full;
	LIST_INSERT_HEAD(bucket_of(members, client), m, neighbour);
	return m;
}

bool
egd_members_has(struct egd_members *members, const struct pool_client *client)
{
	const struct egd_member *m = find(members, client);

	return m != NULL && m->connections > 0;
}

static struct egd_member *
join_one(struct egd_members *members, const struct pool_client *client, const struct bucket *full)
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

static void
leave_one(struct egd_members *members, struct egd_member *m)
{
	if (--m->connections > 0)
		return;
	TAILQ_INSERT_TAIL(&members->left, m, in_left);
	if (++members->left_count > members->left_max)
		forget(members, TAILQ_FIRST(&members->left)); /* NOLINT: it takes it out */
}

static struct egd_member *
join_network(struct egd_members *members, const struct pool_client *network,
	     const struct bucket *full)
{
	struct bucket wide = *full;

	wide.rate *= EGD_NETWORK_ADDRESSES;
	wide.full *= EGD_NETWORK_ADDRESSES;
	wide.level *= EGD_NETWORK_ADDRESSES;
	return join_one(members, network, &wide);
}

struct egd_member *
egd_members_join(struct egd_members *members, const struct pool_client *client,
		 const struct bucket *full)
{
	struct egd_member *m, *network = NULL;
	struct pool_client wide;

	if (pool_client_network(client, &wide)) {
		network = join_network(members, &wide, full);
		if (network == NULL)
			return NULL;
	}
	m = join_one(members, client, full);
	if (m != NULL)
		m->network = network;
	else if (network != NULL)
		leave_one(members, network);
	return m;
}

void
egd_members_leave(struct egd_members *members, struct egd_member *m)
{
	struct egd_member *network = m->network;

	leave_one(members, m);
	if (network != NULL)
		leave_one(members, network);
}

/* ---- what it may take ---- */

uint64_t
egd_member_when(struct egd_member *m, size_t len, uint64_t now_ms)
{
	uint64_t when_ms = bucket_when(&m->allowance, len, now_ms), network_ms = 0;

	if (m->network != NULL)
		network_ms = bucket_when(&m->network->allowance, len, now_ms);
	return when_ms > network_ms ? when_ms : network_ms;
}

bool
egd_member_take(struct egd_member *m, size_t len, uint64_t now_ms)
{
	if (egd_member_when(m, len, now_ms) > now_ms)
		return false;
	(void)bucket_take(&m->allowance, len, now_ms);
	if (m->network != NULL)
		(void)bucket_take(&m->network->allowance, len, now_ms);
	return true;
}
