/* SPDX-License-Identifier: MIT */
/*
 * ekey-tls (priv/tls_channel.h), as long as the configuration has a section that needs it: the
 * service manager's, or a process that this daemon starts and that ends with it.
 */
#ifndef DAEMON_TLS_PROCESS_H
#define DAEMON_TLS_PROCESS_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>

#include "daemon/config.h"
#include "priv/helper.h"

struct daemon;

/* All zero but `process`, HELPER_NONE: there is none. */
struct tls_process {
	struct helper process; /* .fd: the channel to it; .pidfd -1: it is the service manager's */
	struct event *ended;
	bool whole; /* its sections are to be loaded from the first to the last */
	bool good[CONFIG_LISTENS_MAX + CONFIG_SOURCES_MAX]; /* keys that it has, in that order */
};

/*
 * Starts it when it is needed and not there, and has it load the keys that it has not. False, after
 * a line in the log, when a listener cannot be served.
 */
bool tls_process_start(struct daemon *d);

/* All keys are to be loaded anew by the next start: the configuration is another one. */
void tls_process_reload(struct daemon *d);

/* All its connections end without a farewell: this machine is a clone. */
void tls_process_renew(struct daemon *d);

void tls_process_stop(struct daemon *d);

void tls_process_status(const struct daemon *d, struct evbuffer *out);

/* Whether all keys of a configuration can be read: false after a line for each that cannot. */
bool tls_process_check(const struct config *config);

#endif
