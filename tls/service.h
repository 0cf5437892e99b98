/* SPDX-License-Identifier: MIT */
/*
 * What the files of ekey-tls share: service.c (the daemon's orders), sections.c (keys),
 * handshakes.c (connections until both ends have proven themselves), relay.c (plaintext).
 */
#ifndef TLS_SERVICE_H
#define TLS_SERVICE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "crypto/tls.h"
#include "priv/tls_channel.h"
#include "tls/confine.h"

#define SCRATCH_LEN 16384 /* bytes that are carried at once: a TLS record */

/* A listener's or a source's keys. */
struct section {
	struct tls_keys keys;        /* .section "": free */
	struct tls_context *context; /* of a server; NULL: its files could not be read yet */
	bool named;                  /* since the last TLS_END */
};

/* In this order; the end of each is the connection's. */
enum stage { STAGE_WAITING, STAGE_SHAKING, STAGE_OPEN };

struct connection {
	struct service *service;
	struct section *section;
	struct tls *tls; /* NULL while it waits */
	char *peer_name; /* of a client's; NULL: we are the server */
	uint64_t client;
	int net, plain;
	struct event *on_net, *on_plain;
	enum stage stage;
	bool ready;        /* while it waits: the peer has sent something */
	bool due;          /* in service->due */
	bool net_ended;    /* the peer sends no more */
	uint64_t moved_ms; /* the last step of its handshake */
	LIST_ENTRY(connection) in_all;
	TAILQ_ENTRY(connection) in_stage; /* waiting or shaking */
	TAILQ_ENTRY(connection) in_due;
};

TAILQ_HEAD(connections, connection);

struct service {
	struct event_base *base;
	int channel;
	struct event *orders;
	bool sealed; /* the first TLS_END has come */
	bool ended;  /* the daemon is gone */
	struct section sections[TLS_SECTIONS_MAX];
	char directories[CONFINE_DIRECTORIES][TLS_PATH_MAX]; /* that may be read; "": the end */
	LIST_HEAD(, connection) all;
	struct connections waiting, shaking, due;
	unsigned waiting_count, shaking_count;
	struct event *work;    /* takes the next steps of those that are due */
	struct event *overdue; /* ends silent handshakes while others wait */
	uint8_t *scratch;      /* SCRATCH_LEN, secret */
};

/* ---- service.c ---- */

/* Serves the daemon at the other end of `channel` until it is gone. False after a line why not. */
bool service_run(int channel);

/* ---- sections.c ---- */

/* Loads a section's files, anew if it has any; ends connections whose key is not there any more. */
void sections_load(struct service *s, const struct tls_keys *keys, struct tls_answer *ret);

/* All have been named: the others are discarded. The first time no other directory is read. */
bool sections_end(struct service *s);

/* NULL: there is none of that name. */
struct section *sections_find(struct service *s, const char *name);

/* Reads the files for a connection of a client. NULL with why in `error`. */
struct tls_context *sections_client_context(const struct connection *c,
					    char error[static TLS_ERROR_MAX]);

void sections_finish(struct service *s);

/* ---- handshakes.c ---- */

bool handshakes_init(struct service *s);
void handshakes_finish(struct service *s);

/* Takes over both fds. */
void handshakes_take(struct service *s, const struct tls_order *order, const int fds[static 2]);

/* Tells the daemon why there is no TLS, and frees `c`. */
void handshakes_refuse(struct connection *c, const char *why);

/* Closes and frees it; the peer is told only if `farewell`. */
void handshakes_free(struct connection *c, bool farewell);

/* ---- relay.c ---- */

/* Carries on whatever can be carried now, both ways. `c` may be gone afterwards. */
void relay_go_on(struct connection *c);

#endif
