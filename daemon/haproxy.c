/* SPDX-License-Identifier: MIT */
#include "daemon/haproxy.h"

#include <string.h>

#include "base/log.h"
#include "base/net.h"
#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "daemon/row.h"
#include "egd/agent.h"

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

static struct agent_facts
on_asked(void *arg)
{
	const struct daemon *d = arg;

	return (struct agent_facts){.level = pool_level(d->pool),
				    .size = d->pool_size,
				    .filled = is_filled(d),
				    .drained = d->drained};
}

static int
start(struct daemon *d, size_t i, void **ret)
{
	const char *text = d->config.agent;
	struct agent *agent = NULL;
	struct egd_networks allow;
	struct address address;
	int result;

	(void)i;
	/* The parser of the configuration has checked both. */
	(void)address_parse_inet(text + strlen(HAPROXY_PREFIX), &address);
	(void)egd_networks_parse(d->config.agent_allow, &allow);
	result = agent_new(d->base, &address, &allow, on_asked, d, &agent);
	if (result < 0)
		log_err("agent %s: %s%s", text, strerror(-result), net_listen_hint(-result));
	else
		log_info("agent %s: reports the pool's level to HAProxy", text);
	*ret = agent;
	return result;
}

static void
stop(struct daemon *d, size_t i, void *running)
{
	struct agent *agent = running;

	(void)d, (void)i;
	agent_free(&agent);
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	const struct row_subject s = {out, "agent", ROW_ONLY_ONE};

	(void)i;
	row_text(&s, "address", d->config.agent);
	row_bool(&s, "listens", running != NULL);
	row_bool(&s, "drained", d->drained);
	row_number(&s, "asked", running != NULL ? agent_asked(running) : 0);
}

const struct part_functions haproxy_part = {
	.section = "agent",
	.privileged = true,
	.start = start,
	.stop = stop,
	.status = write_status,
};

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
