/* SPDX-License-Identifier: MIT */
/*
 * HAProxy's agent-check: whoever connects is told in one line how much work we can take, and the
 * connection ends. EGD.md 1; "agent-check" in HAProxy's configuration manual.
 *
 *     up ready 62%          the weight follows the pool's level; 1 % is the least
 *     drain                 no new clients, by order
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

/* What the line is made of. */
struct agent_facts {
	size_t level, size; /* bytes in the pool, and what it holds when full */
	bool filled;        /* a healthy source fills it */
	bool drained;       /* by order */
};

typedef struct agent_facts agent_facts_fn(void *arg);

/* The line with its newline. Pure. */
void agent_line(const struct agent_facts *facts, char ret[static AGENT_LINE_MAX]);

/* Listens on `address` and answers those in `allow`; all, when it is empty. 0 or -errno. */
int agent_new(struct event_base *base, const struct address *address,
	      const struct egd_networks *allow, agent_facts_fn *facts, void *arg,
	      struct agent **ret);

/* NULLs the pointer. NULL is fine. */
void agent_free(struct agent **agent);

/* Connections answered since it began. */
uint64_t agent_asked(const struct agent *agent);

#endif
