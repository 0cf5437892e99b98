/* SPDX-License-Identifier: MIT */
/*
 * One listener of the EGD protocol and the connections it took: exact bytes in the order in which
 * they were asked for, at any depth of pipelining, each from the pool's fair queue. Memory and
 * time that a stranger can have are bounded; who is refused or closed is counted by cause.
 */
#ifndef EGD_EGD_SERVER_H
#define EGD_EGD_SERVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "egd/networks.h"
#include "pool/pool.h"
#include "priv/helper.h"
#include "priv/tls_channel.h"

#define EGD_NAME_MAX 32
#define EGD_ADDRESS_MAX 128
#define EGD_OWNER_MAX 66      /* USER:GROUP */
#define EGD_CLIENTS_MAX 65536 /* that a configuration may ask for */
#define EGD_BURST_MIN 255     /* bytes: less, and the longest request could never be answered */

/* Zeroed, then filled: two of them are the same when each field is. Paths may be "". */
struct egd_listen_config {
	char name[EGD_NAME_MAX];       /* [listen NAME] */
	char address[EGD_ADDRESS_MAX]; /* see egd/listener.h */
	char allow[EGD_NETWORKS_TEXT_MAX];
	char proxy_from[EGD_NETWORKS_TEXT_MAX];
	mode_t mode;               /* of a Unix socket */
	char owner[EGD_OWNER_MAX]; /* USER, USER:GROUP or :GROUP of a Unix socket; "": ours */
	struct tls_files tls;      /* of tls:, and of systemd: with TLS */
	uint64_t rate, burst; /* bytes per second and at once, for each identity; rate 0: any */
	unsigned weight;      /* of each identity, in the pool */
	unsigned max_clients; /* connections at once */
	uint64_t idle_ms;     /* without a request */
	uint8_t greet;        /* bytes sent at accept as if they had been asked for; 0: none */
};

struct egd_server;

/* How a connection ended. */
enum egd_end {
	EGD_END_DONE,    /* the client had all it asked for, and closed */
	EGD_END_LOST,    /* reset, hung up, or silent after a half-close */
	EGD_END_IDLE,    /* asked nothing for `idle` */
	EGD_END_SLOW,    /* did not read its replies */
	EGD_END_UNKNOWN, /* sent what is no request */
	EGD_END_START,   /* no TLS, no PROXY header, or not in time */
	EGD_END_REFUSED, /* not allowed, or one too many */
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
 * Listens and serves from `base`. `given` and `connector` stay the caller's: for systemd:NAME a
 * socket that listens already, else -1; for xen:DIRECTORY the helper that connects there
 * (priv/connect_helper.h), else NULL. `previous` is
 * the listening socket that a previous daemon left, which is taken over when it is at this address,
 * else closed; -1: none. 0 with *ret, or -errno after one line in the log that names the listener,
 * the cause and the cure.
 */
int egd_server_start(struct event_base *base, struct pool *pool,
		     const struct egd_listen_config *config, int given, struct helper *connector,
		     int previous, struct egd_server **ret);

/* Where its clients speak TLS: `channel` is to ekey-tls (priv/tls_channel.h); -1: it is away. */
void egd_server_use_tls(struct egd_server *server, const int *channel);

/*
 * Closes the connections; what they were granted is lost. `resumed`: the next daemon resumes the
 * listening socket, else the path of a Unix socket is removed. NULLs the pointer.
 */
void egd_server_stop(struct egd_server **server, bool resumed);

/* Sends what is ready. False while a client has received the beginning of a reply only. */
bool egd_server_flush(struct egd_server *server);

/* The listening socket that the next daemon can resume; -1: it has none of its own. */
int egd_server_socket(const struct egd_server *server);

/*
 * This machine is a clone: connections that hold bytes which were granted, and those with TLS,
 * whose keys the other clone has too, are closed. Returns how many.
 */
unsigned egd_server_renew(struct egd_server *server);

void egd_server_status(const struct egd_server *server, struct egd_server_status *ret);

/* "done", "lost", ... */
const char *egd_end_text(enum egd_end end);

#endif
