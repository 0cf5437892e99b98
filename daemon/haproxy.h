/* SPDX-License-Identifier: MIT */
/*
 * The [agent] section while the daemon runs, HAProxy's agent-check: each connection gets one line
 * about the load that this server can take, and is closed. doc/egd.md 1; "agent-check" in HAProxy's
 * configuration manual.
 *
 *     up ready 62%          the weight is the pool's level; at least 1 %
 *     drain                 no new clients: `ekeyctl drain`
 *     down#the pool is empty and nothing fills it
 */
#ifndef DAEMON_HAPROXY_H
#define DAEMON_HAPROXY_H

#include "daemon/parts.h"

#define HAPROXY_PREFIX "tcp:"
#define HAPROXY_LINE_MAX 64 /* bytes of a line, with its NUL */

struct ctl_request;

struct haproxy_load {
	size_t level, size; /* bytes in the pool, and its capacity */
	bool filled;        /* a healthy source fills it */
	bool drained;       /* by `ekeyctl drain` */
};

/* Writes the line with its newline. Pure. */
void haproxy_line(const struct haproxy_load *load, char ret[static HAPROXY_LINE_MAX]);

extern const struct part_functions haproxy_part;

/* For ctl_command.run: tell HAProxy to send no new clients, or to send them again. */
const char *haproxy_drain(void *arg, const struct ctl_request *request);
const char *haproxy_resume(void *arg, const struct ctl_request *request);

#endif
