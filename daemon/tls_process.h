/* SPDX-License-Identifier: MIT */
/*
 * ekey-tls (lib/priv/tls_channel.h), while the configuration has a section that needs it: started
 * by the service manager, or by this daemon, with which it ends.
 */
#ifndef DAEMON_TLS_PROCESS_H
#define DAEMON_TLS_PROCESS_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>

#include "daemon/config.h"
#include "lib/priv/helper.h"

struct daemon;

/* All zero but `process`, HELPER_NONE: it is not running. */
struct tls_process {
	struct helper process; /* .fd: the channel; .pidfd -1: it is the service manager's */
	struct event *ended;
	bool whole; /* all sections have to be loaded, and TLS_END sent */
	bool good[CONFIG_LISTENS_MAX +
		  CONFIG_SOURCES_MAX]; /* sections whose keys it has, in that order */
};

/*
 * Starts it if it is needed and not running, and has it load missing keys. False, after a line in
 * the log: a listener cannot be served.
 */
bool tls_process_start(struct daemon *d);

/* The configuration has changed: the next start loads all keys. */
void tls_process_reload(struct daemon *d);

/* This machine is a clone: all TLS connections end without close_notify. */
void tls_process_renew(struct daemon *d);

void tls_process_stop(struct daemon *d);

void tls_process_status(const struct daemon *d, struct evbuffer *out);

/* Whether all keys of a configuration are good; false after a line in the log for each fault. */
bool tls_process_check(const struct config *config);

#endif
