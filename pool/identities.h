/* SPDX-License-Identifier: MIT */
/*
 * The identities that have open handles, found by kind and number; and some who have none left but
 * still owe, or they would share anew with each connection.
 */
#ifndef POOL_IDENTITIES_H
#define POOL_IDENTITIES_H

#include "pool/circle.h"
#include "pool/client.h"
#include "pool/slots.h"

#define IDENTITIES_BUCKETS 1024 /* 10,000 identities: 10 steps to open a handle, none elsewhere */

struct queue;

/* The same one with and without the right to the reserve counts as two. */
struct pool_identity {
	enum identity_kind kind;
	uint64_t number, host;
	struct queue *queue;                 /* where it waits */
	struct pool_identity *network;       /* of an IPv6 address, else NULL */
	unsigned handles;                    /* open; of a network: its addresses' */
	unsigned waiters;                    /* slots that its handles hold; not of an address */
	struct place place;                  /* in its network's circle, or queue->circle */
	struct circle circle;                /* of its handles, or its addresses */
	LIST_ENTRY(pool_identity) neighbour; /* in its bucket */
};

/* The one that shares with all others. */
static inline struct pool_identity *
identity_first(struct pool_identity *identity)
{
	return identity->network != NULL ? identity->network : identity;
}

struct identities {
	LIST_HEAD(bucket, pool_identity) buckets[IDENTITIES_BUCKETS];
	struct slots slots;
	unsigned share;            /* handles that one, or a network, may have: a quarter */
	unsigned owing, owing_max; /* those without handles: one for eight handles */
};

/* For `max` handles. False when memory cannot be had. */
bool identities_init(struct identities *ids, unsigned max);
void identities_finish(struct identities *ids);

/* Counts one more handle, of at most `max`; NULL when the identity has its share of them. */
struct pool_identity *identities_join(struct identities *ids, const struct pool_client *client,
				      struct queue *queue);

/* One handle less; the last one takes the identity with it, unless it owes. */
void identities_leave(struct identities *ids, struct pool_identity *identity);

/* It has left its circle, and owes no more. */
void identities_paid(struct identities *ids, struct pool_identity *identity);

#endif
