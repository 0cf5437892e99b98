/* SPDX-License-Identifier: MIT */
#include "daemon/haproxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "daemon/status_row.h"
#include "egd/egd_wire.h"
#include "lib/acceptor.h"
#include "lib/log.h"
#include "lib/net.h"

#define ACCEPTS_MAX 16 /* connections accepted before other events have their turn */

struct agent {
	struct daemon *d;
	int fd;
	struct acceptor acceptor;
	struct egd_acl allow;
	uint64_t asked;
};

/* ---- the line ---- */

void
haproxy_line(const struct haproxy_load *load, char ret[static HAPROXY_LINE_MAX])
{
	size_t percent = load->size > 0 ? load->level * 100 / load->size : 0;

	if (load->drained)
		snprintf(ret, HAPROXY_LINE_MAX, "drain\n");
	else if (load->level < EGD_LEN_MAX && !load->filled) /* less than the longest request */
		snprintf(ret, HAPROXY_LINE_MAX, "down#the pool is empty and nothing fills it\n");
	else
		snprintf(ret, HAPROXY_LINE_MAX, "up ready %zu%%\n", percent > 0 ? percent : 1);
}

static bool
is_filled(const struct daemon *d)
{
	const struct source *source;

	for (size_t i = 0; (source = inputs_at(d, i)) != NULL; i++) {
		struct source_status status;

		source_status(source, &status);
		if (status.connected && status.serves && status.health == INTAKE_ACTIVE)
			return true;
	}
	return false;
}

static void
on_accepted(void *arg, int fd, const struct address *peer)
{
	struct agent *agent = arg;
	const struct daemon *d = agent->d;
	char line[HAPROXY_LINE_MAX];

	if (agent->allow.count == 0 || egd_acl_have(&agent->allow, peer)) {
		const struct haproxy_load load = {.level = pool_level(d->pool),
						  .size = d->pool_size,
						  .filled = is_filled(d),
						  .drained = d->drained};

		haproxy_line(&load, line);
		/* One short line fits into the buffer of a new socket. */
		(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
		agent->asked++;
	}
	close(fd);
}

/* ---- the part ---- */

static void
stop(struct daemon *d, size_t i, void *running)
{
	struct agent *agent = running;

	(void)d, (void)i;
	acceptor_stop(&agent->acceptor);
	if (agent->fd >= 0)
		close(agent->fd);
	free(agent);
}

static int
start(struct daemon *d, size_t i, void **ret)
{
	const char *text = d->config.agent;
	struct agent *agent = calloc(1, sizeof(*agent));
	struct address address;
	int result = -ENOMEM;

	if (agent == NULL)
		return result;
	/* The parser of the configuration has checked both. */
	(void)address_parse_inet(text + strlen(HAPROXY_PREFIX), &address);
	(void)egd_acl_parse(d->config.agent_allow, &agent->allow);
	agent->d = d;
	agent->acceptor = (struct acceptor){.kind = "agent",
					    .name = "for HAProxy",
					    .batch = ACCEPTS_MAX,
					    .accepted = on_accepted,
					    .arg = agent};
	agent->fd = net_listen(&address);
	if (agent->fd < 0)
		result = agent->fd;
	else if (acceptor_start(&agent->acceptor, d->base, agent->fd))
		result = 0;
	if (result < 0) {
		log_err("agent %s: %s%s", text, strerror(-result), net_listen_hint(-result));
		stop(d, i, agent);
		return result;
	}
	log_info("agent %s: reports the pool's level to HAProxy", text);
	*ret = agent;
	return 0;
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	const struct status_subject s = {out, "agent", ROW_ONLY_ONE};
	const struct agent *agent = running;

	(void)i;
	status_row_text(&s, "address", d->config.agent);
	status_row_bool(&s, "listens", agent != NULL);
	status_row_bool(&s, "drained", d->drained);
	status_row_number(&s, "asked", agent != NULL ? agent->asked : 0);
}

const struct part_functions haproxy_part = {
	.section = "agent",
	.privileged = true,
	.start = start,
	.stop = stop,
	.status = write_status,
};

/* ---- commands ---- */

static const char *
set_drained(struct daemon *d, bool drained)
{
	if (!d->config.agent_on)
		return "HAProxy cannot be informed: add an [agent] section to the configuration "
		       "and "
		       "reload it";
	if (d->drained != drained)
		log_info("agent %s: %s", d->config.agent,
			 drained ? "drained: no new clients from HAProxy" : "takes clients again");
	d->drained = drained;
	return NULL;
}

const char *
haproxy_drain(void *arg, const struct ctl_request *request)
{
	(void)request;
	return set_drained(arg, true);
}

const char *
haproxy_resume(void *arg, const struct ctl_request *request)
{
	(void)request;
	return set_drained(arg, false);
}
