/* SPDX-License-Identifier: MIT */
#include "egd/server/identity.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the peer ---- */

/* FNV-1a. Names are proven, or the administrator's, so that collisions cannot be searched for. */
static uint64_t
name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash;
}

/* Splits into the network and the address in it; a link-local network is that of its link. */
static void
split_ip6(const struct sockaddr_in6 *in6, struct pool_client *ret)
{
	uint64_t halves[2];

	memcpy(halves, &in6->sin6_addr, sizeof(halves));
	ret->number = be64toh(halves[0]);
	ret->host = be64toh(halves[1]);
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		ret->number ^= in6->sin6_scope_id;
}

static void
address_identity(const struct egd_peer *peer, struct pool_client *ret)
{
	const struct address *address = &peer->address;

	switch (address->any.sa_family) {
	case AF_INET:
		ret->kind = IDENTITY_IPV4;
		ret->number = ntohl(address->in4.sin_addr.s_addr);
		break;
	case AF_INET6:
		ret->kind = IDENTITY_IPV6;
		split_ip6(&address->in6, ret);
		break;
	case AF_VSOCK:
		ret->kind = IDENTITY_VSOCK;
		ret->number = address->vm.svm_cid;
		break;
	default:
		ret->kind = IDENTITY_UID;
		ret->number = peer->uid;
	}
}

void
egd_peer_identity(const struct egd_peer *peer, struct pool_client *ret)
{
	const char *name = peer->guest != NULL ? peer->guest : peer->tls_name;

	ret->host = 0;
	if (name == NULL) {
		address_identity(peer, ret);
		return;
	}
	ret->kind = peer->guest != NULL ? IDENTITY_DOMAIN : IDENTITY_TLS;
	ret->number = name_hash(name);
}

uint64_t
egd_peer_number(const struct egd_peer *peer)
{
	struct egd_peer unproven = *peer;
	struct pool_client client;

	unproven.tls_name = NULL;
	egd_peer_identity(&unproven, &client);
	return client.number;
}

void
egd_peer_text(const struct egd_peer *peer, char ret[static EGD_PEER_TEXT_MAX])
{
	const char *name = peer->tls_name;
	char text[ADDRESS_TEXT_MAX];

	if (peer->guest != NULL) {
		snprintf(ret, EGD_PEER_TEXT_MAX, "guest %s", peer->guest);
		return;
	}
	if (peer->address.any.sa_family == AF_UNIX)
		snprintf(text, sizeof(text), "uid %u", (unsigned)peer->uid);
	else
		address_text(&peer->address, text);
	snprintf(ret, EGD_PEER_TEXT_MAX, "%s%s%s", name != NULL ? name : "",
		 name != NULL ? " at " : "", text);
}

/* ---- identities ---- */

void
egd_identities_init(struct egd_identities *ids, unsigned left_max)
{
	*ids = (struct egd_identities){.left_max = left_max};
	TAILQ_INIT(&ids->left);
}

static int
order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Compares for tsearch(3), whose balanced tree no choice of addresses can make slow. */
static int
compare(const void *a_at, const void *b_at)
{
	const struct pool_client *a = a_at, *b = b_at;
	int by_number = order(a->number, b->number), by_host = order(a->host, b->host);

	return by_number != 0 ? by_number : by_host != 0 ? by_host : order(a->kind, b->kind);
}

static struct egd_identity *
find(const struct egd_identities *ids, const struct pool_client *client)
{
	/* An identity begins with its client. */
	struct egd_identity *const *found = tfind(client, (void *const *)&ids->tree, compare);

	return found != NULL ? *found : NULL;
}

/* Frees the identity that has been without a connection for the longest time. */
static void
forget_oldest(struct egd_identities *ids)
{
	struct egd_identity *oldest = TAILQ_FIRST(&ids->left);

	TAILQ_REMOVE(&ids->left, oldest, in_left);
	ids->left_count--;
	tdelete(oldest, &ids->tree, compare);
	free(oldest);
}

void
egd_identities_finish(struct egd_identities *ids)
{
	while (!TAILQ_EMPTY(&ids->left))
		forget_oldest(ids); /* NOLINT: removes it from the list */
}

bool
egd_identities_has(const struct egd_identities *ids, const struct pool_client *client)
{
	const struct egd_identity *identity = find(ids, client);

	return identity != NULL && identity->connections > 0;
}

static struct egd_identity *
add(struct egd_identities *ids, const struct pool_client *client, const struct token_bucket *full,
    unsigned times)
{
	struct egd_identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL)
		return NULL;
	*identity = (struct egd_identity){.client = *client, .connections = 1, .allowance = *full};
	identity->allowance.rate *= times;
	identity->allowance.full *= times;
	identity->allowance.level *= times;
	if (tsearch(identity, &ids->tree, compare) != NULL)
		return identity;
	free(identity);
	return NULL;
}

static struct egd_identity *
join_one(struct egd_identities *ids, const struct pool_client *client,
	 const struct token_bucket *full, unsigned times)
{
	struct egd_identity *identity = find(ids, client);

	if (identity == NULL)
		return add(ids, client, full, times);
	if (identity->connections++ == 0) {
		TAILQ_REMOVE(&ids->left, identity, in_left);
		ids->left_count--;
	}
	return identity;
}

struct egd_identity *
egd_identities_join(struct egd_identities *ids, const struct pool_client *client,
		    const struct token_bucket *full)
{
	struct egd_identity *identity, *network = NULL;
	struct pool_client wide;

	if (pool_client_network(client, &wide)) {
		network = join_one(ids, &wide, full, EGD_NETWORK_ADDRESSES);
		if (network == NULL)
			return NULL;
	}
	identity = join_one(ids, client, full, 1);
	if (identity != NULL)
		identity->network = network;
	else if (network != NULL)
		egd_identities_leave(ids, network);
	return identity;
}

void
egd_identities_leave(struct egd_identities *ids, struct egd_identity *identity)
{
	struct egd_identity *network;

	for (; identity != NULL; identity = network) {
		network = identity->network;
		if (--identity->connections > 0)
			continue;
		TAILQ_INSERT_TAIL(&ids->left, identity, in_left);
		if (++ids->left_count > ids->left_max)
			forget_oldest(ids);
	}
}

uint64_t
egd_identity_when(struct egd_identity *identity, size_t len, uint64_t now_ms)
{
	uint64_t latest_ms = now_ms;

	for (; identity != NULL; identity = identity->network) {
		uint64_t when_ms = token_bucket_when(&identity->allowance, len, now_ms);

		latest_ms = when_ms > latest_ms ? when_ms : latest_ms;
	}
	return latest_ms;
}

bool
egd_identity_take(struct egd_identity *identity, size_t len, uint64_t now_ms)
{
	if (egd_identity_when(identity, len, now_ms) > now_ms)
		return false;
	for (; identity != NULL; identity = identity->network)
		(void)token_bucket_take(&identity->allowance, len, now_ms);
	return true;
}
