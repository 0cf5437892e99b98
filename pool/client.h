/* SPDX-License-Identifier: MIT */
/* The identity of a client, the same for all outlets, and how it is served. */
#ifndef POOL_CLIENT_H
#define POOL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

/* The kind of a number: uid 7 is not vsock's 7. A client of two outlets shares once. */
enum identity_kind {
	IDENTITY_UID,     /* devices, Unix sockets: the peer's user */
	IDENTITY_IPV4,    /* the address, host order */
	IDENTITY_IPV6,    /* the address: `number` is its network, `host` the address in that */
	IDENTITY_NETWORK, /* of IPv6 addresses, which first share as one: see pool_client_network()
			   */
	IDENTITY_VSOCK,   /* the peer's CID */
	IDENTITY_TLS,     /* a hash of the authenticated name */
	IDENTITY_DOMAIN,  /* Xen */
	IDENTITY_KERNEL,  /* our own kernel's feed; number 0 */
	IDENTITY_SEEDS    /* seeds for guests, by order; number 0 */
};

struct pool_client {
	enum identity_kind kind;
	uint64_t number;
	uint64_t host;   /* IDENTITY_IPV6 only, else 0 */
	unsigned weight; /* 1..POOL_WEIGHT_MAX turns in one; the highest of its open handles' */
	bool whole;      /* a request is granted when all of it is there, or not at all */
	bool reserve;    /* may have the pool's reserve: the kernel, seeds */
};

/*
 * The identity in whose share this one has a share. A host on a LAN has one address of a /64, a
 * customer of a provider may have all of them: so networks share first, then addresses in each.
 * False: there is none.
 */
static inline bool
pool_client_network(const struct pool_client *client, struct pool_client *ret)
{
	*ret = *client;
	ret->kind = IDENTITY_NETWORK;
	ret->host = 0;
	return client->kind == IDENTITY_IPV6;
}

#endif
