/* SPDX-License-Identifier: MIT */
/*
 * Devices, listeners and the agent that could not be started: the rest is served meanwhile, and
 * they are tried again, after a second, then twice as long each time up to a minute.
 */
#ifndef DAEMON_PARTS_H
#define DAEMON_PARTS_H

#include <stdbool.h>

struct daemon;

/* Starts what d->config has and does not run yet. */
void parts_start(struct daemon *d);

/* The same after one kind could not be started: only sets the time of the next try. */
void parts_start_later(struct daemon *d);

/* What a part's status says while it waits: "waiting, next try in 8 s". */
#define PARTS_TEXT_MAX 64
const char *parts_waiting_text(const struct daemon *d, char ret[static PARTS_TEXT_MAX]);

void parts_stop(struct daemon *d);

#endif
