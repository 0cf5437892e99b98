/* SPDX-License-Identifier: MIT */
#include "egd/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/net.h"
#include "egd/egd_wire.h"

#define AT_ONCE 16 /* connections taken in one turn of the loop */
#define REST_S 1   /* when there are no more files for one */

struct agent {
	int fd;
	struct event *readable, *rested;
	struct egd_networks allow;
	agent_facts_fn *facts;
	void *arg;
	uint64_t asked;
};

void
agent_line(const struct agent_facts *facts, char ret[static AGENT_LINE_MAX])
{
	size_t percent = facts->size > 0 ? facts->level * 100 / facts->size : 0;

	if (facts->drained)
		snprintf(ret, AGENT_LINE_MAX, "drain\n");
	else if (facts->level < EGD_LEN_MAX && !facts->filled) /* a rest that few can be given */
		snprintf(ret, AGENT_LINE_MAX, "down#the pool is empty and nothing fills it\n");
	else
		snprintf(ret, AGENT_LINE_MAX, "up ready %zu%%\n", percent > 0 ? percent : 1);
}

/* One short line fits into a new socket's buffer: what is not sent at once will never be. */
static void
agent_answer(struct agent *agent, int fd)
{
	const struct agent_facts facts = agent->facts(agent->arg);
	char line[AGENT_LINE_MAX];

	agent_line(&facts, line);
	(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	agent->asked++;
}

static bool
agent_allows(const struct agent *agent, const struct address *peer)
{
	return agent->allow.count == 0 || egd_networks_have(&agent->allow, peer);
}

static void
agent_on_readable(evutil_socket_t listener, short what, void *arg)
{
	const struct timeval rest = {.tv_sec = REST_S};
	struct agent *agent = arg;
	struct address peer;
	int fd = 0;

	(void)what;
	for (int i = 0; i < AT_ONCE && fd >= 0; i++) {
		fd = net_accept(listener, &peer);
		if (fd >= 0 && agent_allows(agent, &peer))
			agent_answer(agent, fd);
		else if (fd >= 0)
			close(fd);
	}
	if (fd >= 0 || fd == -EAGAIN || fd == -ECONNABORTED)
		return;
	event_del(agent->readable);
	event_add(agent->rested, &rest);
}

static void
agent_on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct agent *agent = arg;

	(void)fd, (void)what;
	event_add(agent->readable, NULL);
}

int
agent_new(struct event_base *base, const struct address *address, const struct egd_networks *allow,
	  agent_facts_fn *facts, void *arg, struct agent **ret)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int fd = net_listen(address);

	if (agent == NULL || fd < 0) {
		free(agent);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	*agent = (struct agent){.fd = fd, .allow = *allow, .facts = facts, .arg = arg};
	agent->readable = event_new(base, fd, EV_READ | EV_PERSIST, agent_on_readable, agent);
	agent->rested = evtimer_new(base, agent_on_rested, agent);
	if (agent->readable == NULL || agent->rested == NULL ||
	    event_add(agent->readable, NULL) != 0) {
		agent_free(&agent);
		return -ENOMEM;
	}
	*ret = agent;
	return 0;
}

void
agent_free(struct agent **agent_at)
{
	struct agent *agent = *agent_at;

	if (agent == NULL)
		return;
	if (agent->readable != NULL)
		event_free(agent->readable);
	if (agent->rested != NULL)
		event_free(agent->rested);
	close(agent->fd);
	free(agent);
	*agent_at = NULL;
}

uint64_t
agent_asked(const struct agent *agent)
{
	return agent->asked;
}
