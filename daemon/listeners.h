/* SPDX-License-Identifier: MIT */
/* The [listen] sections while the daemon runs, with ekey-tls and the helpers that connect at xen:.
 */
#ifndef DAEMON_LISTENERS_H
#define DAEMON_LISTENERS_H

#include "daemon/parts.h"
#include "egd/server/egd_server.h"

/* The helper (lib/priv/connect_helper.h) of an address xen:DIRECTORY, which only a start can start.
 */
struct connector {
	char address[EGD_ADDRESS_MAX]; /* "": there is none */
	struct helper helper;
};

extern const struct part_functions listeners_part;

/* Sends the replies that are ready. False while one has been sent in part. */
bool listeners_flush(struct daemon *d);

/* Connections that all of them may have at once. */
unsigned listeners_clients(const struct config *config);

#endif
