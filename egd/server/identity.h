/* SPDX-License-Identifier: MIT */
/*
 * The clients of a listener: the peer of a connection, the identity by which the pool shares, and
 * for each identity its number of connections and the rest of its rate. An identity without a
 * connection is kept for a while, so that a new connection does not get a new burst.
 */
#ifndef EGD_SERVER_IDENTITY_H
#define EGD_SERVER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/address.h"
#include "pool/client.h"
#include "pool/token_bucket.h"

#define EGD_PEER_TEXT_MAX 256

/* Rate and burst of an IPv6 network, in those of one address. */
#define EGD_NETWORK_ADDRESSES 16

struct egd_peer {
	struct address address; /* of the socket, or from a trusted proxy's header */
	uid_t uid;              /* of a Unix socket's peer, else undefined */
	const char *guest;      /* Xen guest of the channel; NULL: none. The caller's. */
	char *tls_name;         /* proven by TLS; NULL: none. The caller's. */
};

/* Sets kind, number and host: of the guest, else of the TLS name, else of the address. */
void egd_peer_identity(const struct egd_peer *peer, struct pool_client *ret);

/* Equal for two connections of one peer: limits the log lines about it. */
uint64_t egd_peer_number(const struct egd_peer *peer);

/* "192.0.2.7:4711", "uid 107", "psk:web1 at 192.0.2.7:4711", "guest web1". */
void egd_peer_text(const struct egd_peer *peer, char ret[static EGD_PEER_TEXT_MAX]);

struct egd_identity {
	struct pool_client client;
	struct egd_identity *network; /* of an IPv6 address, else NULL */
	unsigned connections;         /* of a network: those of its addresses */
	struct token_bucket allowance;
	TAILQ_ENTRY(egd_identity) in_left;
};

struct egd_identities {
	void *tree;                      /* of tsearch(3) */
	TAILQ_HEAD(, egd_identity) left; /* without a connection, oldest first */
	unsigned left_count, left_max;
};

/* Keeps at most `left_max` identities without a connection. */
void egd_identities_init(struct egd_identities *ids, unsigned left_max);

/* Connections must have left. */
void egd_identities_finish(struct egd_identities *ids);

/* Returns whether this identity has a connection. */
bool egd_identities_has(const struct egd_identities *ids, const struct pool_client *client);

/* Adds a connection; `full` is the allowance of a new identity. NULL: no memory. */
struct egd_identity *egd_identities_join(struct egd_identities *ids,
					 const struct pool_client *client,
					 const struct token_bucket *full);

/* Removes a connection. */
void egd_identities_leave(struct egd_identities *ids, struct egd_identity *identity);

/* Take from its allowance and its network's, as token_bucket_take() and token_bucket_when(). */
bool egd_identity_take(struct egd_identity *identity, size_t len, uint64_t now_ms);
uint64_t egd_identity_when(struct egd_identity *identity, size_t len, uint64_t now_ms);

#endif
