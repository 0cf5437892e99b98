/* SPDX-License-Identifier: MIT */
/*
 * Connections, from the message that passes one here to its end. A peer that is not authenticated
 * is bounded: a few handshakes at once, of one address only some of them, none before its peer has
 * sent a byte; the other connections wait, and are dropped at random before there are too many.
 */
#ifndef EGD_TLS_CONNECTIONS_H
#define EGD_TLS_CONNECTIONS_H

#include <event2/event.h>
#include <sys/queue.h>

#include "egd/tls/sections.h"

enum stage { STAGE_WAITING, STAGE_SHAKING, STAGE_OPEN, STAGES };

struct connection;

struct connections {
	struct event_base *base;
	TAILQ_HEAD(connection_list, connection) in[STAGES];
	unsigned count[STAGES];
	struct event *work;   /* begins handshakes, and takes their next steps */
	struct event *silent; /* ends silent handshakes while others wait */
	uint8_t *scratch;     /* secret */
	bool ended;           /* the daemon is gone: the last connection ends the loop */
};

/* False: no memory; connections_finish() is needed in either case. */
bool connections_init(struct connections *all, struct event_base *base);

/* Takes over both fds: of the network, and the plaintext's end. `section` NULL: there is none. */
void connections_take(struct connections *all, struct section *section,
		      const struct tls_order *order, const int fds[static 2]);

/* Ends those of a section, or, with NULL, all; `farewell`: with close_notify. */
void connections_end(struct connections *all, const struct section *section, bool farewell);

/* The section has other keys: ends its handshakes, and the connections whose key is gone. */
void connections_end_revoked(struct connections *all, const struct section *section);

bool connections_are_none(const struct connections *all);

void connections_finish(struct connections *all);

#endif
