/* SPDX-License-Identifier: MIT */
/* The helpers (priv/connect_helper.h) of [listen] sections at xen:DIRECTORY, one for each. */
#ifndef DAEMON_CONNECTORS_H
#define DAEMON_CONNECTORS_H

#include "egd/egd_server.h"
#include "priv/helper.h"

struct daemon;

/* One that was started with the daemon, whatever the configuration says by now. */
struct connector {
	char address[EGD_ADDRESS_MAX]; /* of its listener; "": there is none */
	struct helper helper;
};

/* First of all: see helper_start(). One that cannot be started has its line in the log. */
void connectors_prepare(struct daemon *d);

/* That of an address; NULL, after a line in the log, when it was not there at the start. */
struct helper *connectors_find(struct daemon *d, const struct egd_listen_config *listen);

void connectors_stop(struct daemon *d);

#endif
