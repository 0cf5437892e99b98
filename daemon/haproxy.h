/* SPDX-License-Identifier: MIT */
/* The [agent] section while the daemon runs: see egd/agent.h. */
#ifndef DAEMON_HAPROXY_H
#define DAEMON_HAPROXY_H

#include <event2/buffer.h>
#include <stdbool.h>

#define HAPROXY_PREFIX "tcp:"

struct config;
struct ctl_request;
struct daemon;

/* As in daemon/devices.h. */
bool haproxy_start(struct daemon *d);
void haproxy_keep(struct daemon *d, const struct config *next);
void haproxy_stop(struct daemon *d);
void haproxy_status(const struct daemon *d, struct evbuffer *out);

/* For ctl_command.run: HAProxy is told to send no new clients, or to send them again. */
const char *haproxy_drain(void *arg, const struct ctl_request *request);
const char *haproxy_resume(void *arg, const struct ctl_request *request);

#endif
