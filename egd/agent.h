/* SPDX-License-Identifier: MIT */
/*
 * HAProxy's agent-check: each connection gets one line about the load that this server can take,
 * and is closed. doc/egd.md 1; "agent-check" in HAProxy's configuration manual.
 *
 *     up ready 62%          the weight is the pool's level; at least 1 %
 *     drain                 no new clients: `ekeyctl drain`
 *     down#the pool is empty and nothing fills it
 */
#ifndef EGD_AGENT_H
#define EGD_AGENT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "egd/networks.h"

#define AGENT_LINE_MAX 64 /* bytes of a line, with its NUL */

struct agent;

/* Facts from which the line is made. */
struct agent_facts {
	size_t level, size; /* bytes in the pool, and its capacity */
	bool filled;        /* a healthy source fills it */
	bool drained;       /* by `ekeyctl drain` */
};

typedef struct agent_facts agent_facts_fn(void *arg);

/* Writes the line with its newline. Pure. */
void agent_line(const struct agent_facts *facts, char ret[static AGENT_LINE_MAX]);

/* Listens on `address` and answers clients in `allow`, all if it is empty. 0 or -errno. */
int agent_new(struct event_base *base, const struct address *address,
	      const struct egd_networks *allow, agent_facts_fn *facts, void *arg,
	      struct agent **ret);

/* NULLs the pointer. NULL is fine. */
void agent_free(struct agent **agent);

/* Connections answered since the start. */
uint64_t agent_asked(const struct agent *agent);

#endif
