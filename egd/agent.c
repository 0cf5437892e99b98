/* SPDX-License-Identifier: MIT */
#include "egd/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/acceptor.h"
#include "base/net.h"
#include "egd/egd_wire.h"

#define ACCEPTS_MAX 16 /* connections accepted before other events have their turn */

struct agent {
	int fd;
	struct acceptor acceptor;
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
	else if (facts->level < EGD_LEN_MAX && !facts->filled) /* less than the longest request */
		snprintf(ret, AGENT_LINE_MAX, "down#the pool is empty and nothing fills it\n");
	else
		snprintf(ret, AGENT_LINE_MAX, "up ready %zu%%\n", percent > 0 ? percent : 1);
}

static void
on_accepted(void *arg, int fd, const struct address *peer)
{
	struct agent *agent = arg;
	char line[AGENT_LINE_MAX];

	if (agent->allow.count == 0 || egd_networks_have(&agent->allow, peer)) {
		const struct agent_facts facts = agent->facts(agent->arg);

		agent_line(&facts, line);
		/* One short line fits into the buffer of a new socket. */
		(void)!send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
		agent->asked++;
	}
	close(fd);
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
	agent->acceptor = (struct acceptor){.kind = "agent",
					    .name = "for HAProxy",
					    .batch = ACCEPTS_MAX,
					    .accepted = on_accepted,
					    .arg = agent};
	*ret = agent;
	if (acceptor_start(&agent->acceptor, base, fd))
		return 0;
	agent_free(ret);
	return -ENOMEM;
}

void
agent_free(struct agent **agent)
{
	if (*agent == NULL)
		return;
	acceptor_stop(&(*agent)->acceptor);
	close((*agent)->fd);
	free(*agent);
	*agent = NULL;
}

uint64_t
agent_asked(const struct agent *agent)
{
	return agent->asked;
}
