/* SPDX-License-Identifier: MIT */
/* The [agent] section while the daemon runs: egd/agent.h. */
#ifndef DAEMON_HAPROXY_H
#define DAEMON_HAPROXY_H

#include "daemon/parts.h"

#define HAPROXY_PREFIX "tcp:"

struct ctl_request;

extern const struct part_functions haproxy_part;

/* For ctl_command.run: tell HAProxy to send no new clients, or to send them again. */
const char *haproxy_drain(void *arg, const struct ctl_request *request);
const char *haproxy_resume(void *arg, const struct ctl_request *request);

#endif
