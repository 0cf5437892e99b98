/* SPDX-License-Identifier: MIT */
/*
 * The identities that a listener serves: how many connections each has, and how much of its rate
 * is left. Who has left is remembered for a while: coming again is no way to a new burst.
 */
#ifndef EGD_MEMBERS_H
#define EGD_MEMBERS_H

#include <stdint.h>
#include <sys/queue.h>

#include "pool/bucket.h"
#include "pool/client.h"

#define EGD_MEMBERS_BUCKETS 256

/* The rate and the burst of a network of IPv6, in those of one address. */
#define EGD_NETWORK_ADDRESSES 16

struct egd_member {
	enum identity_kind kind;
	uint64_t number, host;
	struct egd_member *network; /* of an IPv6 address, else NULL */
	unsigned connections;       /* of a network: its addresses' */
	struct bucket allowance;
	LIST_ENTRY(egd_member) neighbour; /* in its bucket */
	TAILQ_ENTRY(egd_member) in_left;  /* while it has no connection */
};

struct egd_members {
	LIST_HEAD(egd_members_bucket, egd_member) buckets[EGD_MEMBERS_BUCKETS];
	TAILQ_HEAD(, egd_member) left; /* without a connection, the longest first */
	unsigned left_count, left_max;
};

/* Remembers at most `left_max` who have left. */
void egd_members_init(struct egd_members *members, unsigned left_max);
void egd_members_finish(struct egd_members *members);

/* Whether this identity has a connection. */
bool egd_members_has(struct egd_members *members, const struct pool_client *client);

/* One more connection of this identity; `full` is the allowance of a new one. NULL: no memory. */
struct egd_member *egd_members_join(struct egd_members *members, const struct pool_client *client,
				    const struct bucket *full);

/* One less. */
void egd_members_leave(struct egd_members *members, struct egd_member *member);

/* Takes `len` bytes of its allowance, and of its network's: as bucket_take() and bucket_when(). */
bool egd_member_take(struct egd_member *member, size_t len, uint64_t now_ms);
uint64_t egd_member_when(struct egd_member *member, size_t len, uint64_t now_ms);

#endif
