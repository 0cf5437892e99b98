/* SPDX-License-Identifier: MIT */
/*
 * One connection of an EGD listener: its PROXY header and TLS handshake, its replies strictly in
 * the order of the requests, and its limits of time. The server is above it: it creates, admits and
 * frees connections, and gets a verdict from each call and event.
 */
#ifndef EGD_SERVER_CONNECTION_H
#define EGD_SERVER_CONNECTION_H

#include <event2/event.h>
#include <sys/queue.h>

#include "egd/egd_wire.h"
#include "egd/proxy.h"
#include "egd/server/egd_server.h"
#include "egd/server/identity.h"
#include "lib/log.h"
#include "pool/pool.h"
#include "pool/slab.h"

/* Bytes of replies that are sent together, 12 of the longest: 10,000 slow readers hold 30 MB. */
#define EGD_OUT_LEN 3072

/* Bytes of requests that are read at once: the longest PROXY header, twice the longest request. */
#define EGD_IN_LEN EGD_PROXY_MAX

enum egd_verdict {
	EGD_WAIT,  /* for an event */
	EGD_AGAIN, /* call egd_connection_work() again when other connections had their turn */
	EGD_ADMIT, /* the client is known: call egd_connection_open(), or refuse it */
	EGD_CLOSE, /* c->end has the reason */
};

struct egd_connection;

/* Shared by the connections of a listener. */
struct egd_shared {
	struct event_base *base;
	struct pool *pool;
	const char *name;
	bool is_tls;
	const int *tls; /* the channel to ekey-tls; NULL, or -1 there: it is not running */
	uint8_t greet;  /* bytes sent as if the client had requested them */
	const struct timeval *start_limit, *slow_limit, *half_limit;
	const struct timeval *idle_limit; /* NULL: none */
	struct slab outs;                 /* buffers for replies */
	struct egd_server_status status;
	struct log_limit closed_limit;
	/* Acts on the verdict of an event; EGD_AGAIN may come from within pool_put(). */
	void (*act)(struct egd_connection *c, enum egd_verdict verdict);
};

/* Before the first request, in this order. */
enum egd_stage { EGD_STAGE_PROXY, EGD_STAGE_TLS, EGD_STAGE_OPEN };

struct egd_connection {
	struct egd_shared *shared;
	void *server; /* the server's own */
	int fd;
	struct egd_peer peer;
	enum egd_stage stage;
	enum egd_end end; /* with EGD_CLOSE */
	bool with_tls;    /* ekey-tls has the client's socket; fd is the end with the plaintext */
	bool readable;    /* there may be bytes, or the end, to read */
	bool half;        /* the peer has shut down its sending; bytes may still be unread */
	bool stalled;     /* slow_limit runs, and no byte was sent since its start */
	struct event *input, *output, *timeout;
	struct pool_handle handle;     /* open from EGD_STAGE_OPEN on */
	struct egd_identity *identity; /* NULL before EGD_STAGE_OPEN */

	struct pool_waiter *waiter; /* of the read request that waits for the pool, or NULL */
	bool granted;               /* its bytes are there */
	bool charged;               /* the rate is charged for the next request already */
	uint64_t retry_ms;          /* delay before the next request is retried; 0: none */

	uint8_t *out; /* replies, EGD_OUT_LEN bytes in shared->outs; NULL: none */
	size_t out_at, out_len;
	size_t out_direct; /* bytes of the pool among them */
	uint8_t in[EGD_IN_LEN];
	size_t in_at, in_len; /* in[in_at..in_len): unanswered requests */

	/* The server's lists. */
	bool due;
	LIST_ENTRY(egd_connection) in_connections;
	TAILQ_ENTRY(egd_connection) in_handshakes; /* until EGD_STAGE_OPEN */
	TAILQ_ENTRY(egd_connection) in_due;
};

/*
 * Takes over `fd` if there is memory, else returns NULL. `proxied`: a PROXY header comes first.
 * `peer->guest` must outlive the connection.
 */
struct egd_connection *egd_connection_new(struct egd_shared *shared, int fd,
					  const struct egd_peer *peer, bool proxied);

/* Closes and frees it; granted bytes that were not sent are lost. The identity is the caller's. */
void egd_connection_free(struct egd_connection *c);

/* Does all that can be done now. */
enum egd_verdict egd_connection_work(struct egd_connection *c);

/* Lets requests come, after EGD_ADMIT; the handle must be open. */
void egd_connection_open(struct egd_connection *c, struct egd_identity *identity);

/* Sends the replies that are ready. Returns false while a reply is sent in part. */
bool egd_connection_flush(struct egd_connection *c);

/* Returns true while it holds bytes of the pool that the client does not have. */
bool egd_connection_holds_bytes(const struct egd_connection *c);

/* Warns that it is closed, as often as the log limits allow. */
void egd_connection_log_closed(struct egd_connection *c, const char *why);

#endif
