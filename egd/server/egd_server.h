/* SPDX-License-Identifier: MIT */
/*
 * One listener of the EGD protocol and its connections: exact replies in the order of the requests,
 * at any depth of pipelining, from the pool's fair queue. The memory and time of a client are
 * bounded; clients that are refused or closed are counted by cause.
 */
#ifndef EGD_SERVER_EGD_SERVER_H
#define EGD_SERVER_EGD_SERVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "egd/acl.h"
#include "lib/priv/helper.h"
#include "lib/priv/tls_channel.h"
#include "pool/pool.h"

#define EGD_NAME_MAX 32
#define EGD_ADDRESS_MAX 128
#define EGD_OWNER_MAX 66      /* USER:GROUP */
#define EGD_CLIENTS_MAX 65536 /* of max-clients */
#define EGD_BURST_MIN 255     /* bytes: those of the longest request */

/* Zeroed, then filled, so that two can be compared field by field. Paths may be "". */
struct egd_listen_config {
	char name[EGD_NAME_MAX];       /* [listen NAME] */
	char address[EGD_ADDRESS_MAX]; /* see egd/server/listener.h */
	char allow[EGD_ACL_TEXT_MAX];
	char proxy_from[EGD_ACL_TEXT_MAX];
	mode_t mode;               /* of a Unix socket */
	char owner[EGD_OWNER_MAX]; /* USER, USER:GROUP or :GROUP of a Unix socket; "": unchanged */
	struct tls_files tls;      /* of tls:, and of systemd: with TLS */
	uint64_t rate, burst; /* bytes per second, and at once, of each identity; rate 0: any */
	unsigned weight;      /* of each identity, in the pool */
	unsigned max_clients; /* connections at once */
	uint64_t idle_ms;     /* without a request */
	uint8_t greet;        /* bytes sent at accept as if requested; 0: none */
};

struct egd_server;

/* How a connection ended. */
enum egd_end {
	EGD_END_DONE,    /* the client had all its replies, and closed */
	EGD_END_LOST,    /* reset, hung up, or silent after a half-close */
	EGD_END_IDLE,    /* sent no request for `idle` */
	EGD_END_SLOW,    /* did not read its replies */
	EGD_END_UNKNOWN, /* sent bytes that are no request */
	EGD_END_START,   /* no TLS, no PROXY header, or not in time */
	EGD_END_REFUSED, /* not allowed, or max-clients is reached */
	EGD_ENDS
};

struct egd_server_status {
	const char *name, *address;
	unsigned clients; /* now */
	uint64_t accepted, ended[EGD_ENDS];
	uint64_t throttled; /* requests that waited for `rate` */
	struct pool_account account;
};

/*
 * Listens and serves from `base`. `given` and `connector` are the caller's: for systemd:NAME a
 * listening socket, else -1; for xen:DIRECTORY the helper that connects there
 * (lib/priv/connect_helper.h), else NULL. `previous` is a listening socket of a previous daemon,
 * which the server takes over; egd_listener_resumes() must be true of it; -1: none. 0, or -errno
 * after a log line with the listener, cause and cure.
 */
int egd_server_start(struct event_base *base, struct pool *pool,
		     const struct egd_listen_config *config, int given, struct helper *connector,
		     int previous, struct egd_server **ret);

/* For a listener with TLS: the channel to ekey-tls (lib/priv/tls_channel.h); -1: it is not running.
 */
void egd_server_use_tls(struct egd_server *server, const int *channel);

/*
 * Closes the connections; bytes that were granted to them are lost. `resumed`: the next daemon
 * resumes the listening socket; otherwise the path of a Unix socket is removed. NULLs the pointer.
 */
void egd_server_stop(struct egd_server **server, bool resumed);

/* Sends the replies that are ready. Returns false while a reply is sent in part. */
bool egd_server_flush(struct egd_server *server);

/* Returns the listening socket that the next daemon can resume; -1: none of its own. */
int egd_server_socket(const struct egd_server *server);

/*
 * Closes, after this machine was cloned, the connections that hold bytes of the pool, and those
 * with TLS, whose keys the other clone has too. Returns their number.
 */
unsigned egd_server_renew(struct egd_server *server);

void egd_server_status(const struct egd_server *server, struct egd_server_status *ret);

/* "done", "lost", ... */
const char *egd_end_text(enum egd_end end);

#endif
