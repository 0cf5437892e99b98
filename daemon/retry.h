/* SPDX-License-Identifier: MIT */
/*
 * When parts that could not be started are tried again: after a second, then twice as long each
 * time up to a minute.
 */
#ifndef DAEMON_RETRY_H
#define DAEMON_RETRY_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct retry {
	struct event *event;
	unsigned wait_ms; /* the last wait; 0: the next is the first */
	uint64_t at_ms;
};

/* `again` starts the parts. False: no memory. */
bool retry_init(struct retry *retry, struct event_base *base, event_callback_fn again, void *arg);

void retry_later(struct retry *retry);

/* All parts run, or others are configured: the next wait is short again. */
void retry_reset(struct retry *retry);

/* Returns what the status of a part says while it waits: "waiting, next try in 8 s". */
#define RETRY_TEXT_MAX 64
#define RETRY_NEVER "not tried again before a reload or restart"
const char *retry_text(const struct retry *retry, char ret[static RETRY_TEXT_MAX]);

void retry_finish(struct retry *retry);

#endif
