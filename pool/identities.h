/* SPDX-License-Identifier: MIT */
/* The identities that have open handles, found by kind and number. */
#ifndef POOL_IDENTITIES_H
#define POOL_IDENTITIES_H

#include "pool/queue.h"
#include "pool/slots.h"

#define IDENTITIES_BUCKETS 64 /* 10,000 identities: 160 steps to open a handle, none elsewhere */

struct identities {
	LIST_HEAD(bucket, pool_identity) buckets[IDENTITIES_BUCKETS];
	struct slots slots;
	unsigned share; /* handles that one may have: a quarter */
};

/* For `max` handles. False when memory cannot be had. */
bool identities_init(struct identities *ids, unsigned max);
void identities_finish(struct identities *ids);

/* Counts one more handle; NULL when the identity has its share of them, or is one too many. */
struct pool_identity *identities_join(struct identities *ids, unsigned kind, uint64_t number);

/* One handle less; the last one takes the identity with it. */
void identities_leave(struct identities *ids, struct pool_identity *identity);

#endif
