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

bool
haproxy_start(struct daemon *d)
{
	const char *text = d->config.agent;
	struct egd_networks allow;
	struct address address;
	int result;

	if (text[0] == '\0' || d->agent != NULL)
		return true;
	/* The parser of the configuration has looked at it. */
	(void)address_parse_inet(text + strlen(HAPROXY_PREFIX), &address);
	(void)egd_networks_parse(d->config.agent_allow, &allow);
	result = agent_new(d->base, &address, &allow, on_asked, d, &d->agent);
	if (result < 0)
		log_err("agent %s: %s%s", text, strerror(-result), net_listen_hint(-result));
	else
		log_info("agent %s: tells HAProxy how much there is", text);
	return result == 0;
}

void
haproxy_keep(struct daemon *d, const struct config *next)
{
	if (d->agent == NULL || config_equal("agent", &d->config, next))
		return;
	log_info("agent %s: stopped", d->config.agent);
	haproxy_stop(d);
}

void
haproxy_stop(struct daemon *d)
{
	agent_free(&d->agent);
}

void
haproxy_status(const struct daemon *d, struct evbuffer *out)
{
	const struct row_subject s = {out, "agent", ROW_ONLY_ONE};

	if (d->config.agent[0] == '\0')
		return;
	row_text(&s, "address", d->config.agent);
	row_bool(&s, "listens", d->agent != NULL);
	row_bool(&s, "drained", d->drained);
	row_number(&s, "asked", d->agent != NULL ? agent_asked(d->agent) : 0);
}

static const char *
set_drained(struct daemon *d, bool drained)
{
	if (d->config.agent[0] == '\0')
		return "there is no [agent], by which HAProxy is told: add one to the "
		       "configuration and reload it";
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
