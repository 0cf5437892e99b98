/* SPDX-License-Identifier: MIT */
/*
 * What the server's parts share, and nobody else has: egd_server.c (its life), accept.c (who comes
 * in), connection.c, opening.c and answers.c (one connection).
 */
#ifndef EGD_INSIDE_H
#define EGD_INSIDE_H

#include <event2/event.h>
#include <sys/queue.h>

#include "base/log.h"
#include "egd/caller.h"
#include "egd/egd_server.h"
#include "egd/egd_wire.h"
#include "egd/members.h"
#include "egd/networks.h"
#include "egd/proxy.h"
#include "egd/xen.h"
#include "pool/pool.h"
#include "pool/slots.h"

/* Bytes of replies that are sent together, 12 of the longest: 10,000 slow readers hold 30 MB. */
#define EGD_OUT_LEN 3072

/* Bytes of requests that are read at once: the longest PROXY header, the longest request twice. */
#define EGD_IN_LEN EGD_PROXY_MAX

/* What comes before the first request, in this order. */
enum egd_stage { EGD_STAGE_PROXY, EGD_STAGE_TLS, EGD_STAGE_OPEN };

struct egd_connection {
	struct egd_server *server;
	int fd;
	struct egd_caller caller;
	char *identity; /* that ekey-tls has proven; NULL: none */
	bool handed;    /* to ekey-tls: fd is the plaintext's end */
	enum egd_stage stage;
	bool readable; /* bytes, or the end, may be there to be read */
	bool half;     /* the peer sends no more; bytes and the end may still have to be read */
	bool due;      /* in server->due */
	bool slow;     /* patience runs with limits->slow, and nothing was sent since */
	struct event *input, *output, *patience;
	struct pool_handle handle; /* open from EGD_STAGE_OPEN on */
	struct egd_member *member; /* NULL before */

	struct pool_waiter *waiter; /* of the read request that waits, or NULL */
	bool granted;               /* it has its bytes */
	bool charged;               /* the next request has had its tokens */
	uint64_t retry_ms;          /* the next request may be tried in so long; 0: at once */

	uint8_t *out; /* replies, EGD_OUT_LEN bytes in server->outs; NULL: none */
	size_t out_at, out_len;
	size_t out_direct; /* bytes of the pool among them */
	uint8_t in[EGD_IN_LEN];
	size_t in_at, in_len; /* in[in_at..in_len): requests that are not answered yet */

	LIST_ENTRY(egd_connection) in_connections;
	TAILQ_ENTRY(egd_connection) in_openings; /* until EGD_STAGE_OPEN */
	TAILQ_ENTRY(egd_connection) in_due;
};

/* Limits of time, as libevent likes them. */
struct egd_limits {
	const struct timeval *start, *idle, *slow, *half;
};

struct egd_server {
	struct event_base *base;
	struct pool *pool;
	struct egd_listen_config config;
	struct egd_networks allow;
	struct egd_proxies proxies;
	bool is_tls;
	const int *tls; /* the channel to ekey-tls; NULL, or -1 there: it is not there */
	struct egd_limits limits;
	int fd;              /* of the listener; -1: */
	struct egd_xen *xen; /* connects to guests instead; NULL: does not */
	struct event *accept, *accept_again;
	struct event *work;                      /* serves those who are due */
	TAILQ_HEAD(egd_due, egd_connection) due; /* who is to be served, in turn */
	LIST_HEAD(, egd_connection) connections; /* all */
	TAILQ_HEAD(, egd_connection) openings;   /* those who have not begun, the longest first */
	unsigned clients, openings_count;
	struct slots outs;
	struct egd_members members;
	struct pool_account account;
	uint64_t accepted, throttled, ended[EGD_ENDS];
	struct log_limit refused_limit, ended_limit, rest_limit;
};

/* ---- egd_server.c ---- */

/* This connection is served when the loop turns next, after those who asked before. */
void egd_server_schedule(struct egd_server *server, struct egd_connection *c);

/* ---- accept.c ---- */

/* Events of the listener: somebody connects; there may be fds again. */
void egd_accept_ready(evutil_socket_t listener, short what, void *server);
void egd_accept_again(evutil_socket_t none, short what, void *server);

/* A guest of Xen has a channel: egd_xen_env.taken. */
void egd_accept_guest(void *server, int fd, const char *guest);

/* Bounds what the kernel holds for a client that does not read. */
void egd_accept_bound_buffer(int fd);

/* NULL when this caller may be served: it has joined. Else why not: it is to be closed. */
const char *egd_accept_admit(struct egd_server *server, struct egd_connection *c);

/* ---- connection.c ---- */

/* Takes over `fd`; NULL, and it stays open, when there is no memory. */
struct egd_connection *egd_connection_new(struct egd_server *server, int fd,
					  const struct egd_caller *caller);

/* "" without. */
const char *egd_connection_identity(const struct egd_connection *c);

/* Goes on over `fd`, and closes the one it had. False: no memory. */
bool egd_connection_move(struct egd_connection *c, int fd);

/* Goes on with whatever can be done now. `c` may be gone afterwards. */
void egd_connection_work(struct egd_connection *c);

/* Closes and frees it; what it was granted and did not get is lost. */
void egd_connection_free(struct egd_connection *c, enum egd_end end);

/* One line in the log, as often as strangers may cause them. */
void egd_connection_say_end(struct egd_connection *c, const char *why);

/* ---- opening.c ---- */

/* True when requests may come; else it waits, or `c` is gone. */
bool egd_opening_go_on(struct egd_connection *c);

/* It is none of those who have not begun any more. */
void egd_opening_end(struct egd_connection *c);

/* ---- answers.c ---- */

enum egd_answers {
	EGD_ANSWERS_FULL,   /* no room for another reply */
	EGD_ANSWERS_WAIT,   /* for the pool, or retry_ms */
	EGD_ANSWERS_ASK,    /* all that was asked is answered: read on */
	EGD_ANSWERS_UNKNOWN /* what comes next is no request */
};

/* Puts the replies to what has been read into `out`, in order, as far as it goes. */
enum egd_answers egd_answers_put(struct egd_connection *c);

/* Sends them. 0: all left, or -EAGAIN, or -errno. */
int egd_answers_send(struct egd_connection *c);

/* Wipes what was not sent, and counts it as lost. */
void egd_answers_drop(struct egd_connection *c);

#endif
