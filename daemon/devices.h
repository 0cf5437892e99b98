/* SPDX-License-Identifier: MIT */
/*
 * The [device] sections while the daemon runs. Each kind of section that runs has such a file with
 * the same four verbs, so that daemon.c and reload.c need a line for each kind and no more.
 */
#ifndef DAEMON_DEVICES_H
#define DAEMON_DEVICES_H

#include <event2/buffer.h>
#include <stdbool.h>

struct config;
struct daemon;

/* Whether they can be where they are to be: false after a line in the log for each that cannot. */
bool devices_check(const struct config *config);

/*
 * Publishes what d->config has and what is not there yet. False when one could not be, after its
 * line in the log; the others are. A kernel that cannot carry a device is no failure.
 */
bool devices_start(struct daemon *d);

/*
 * The same of those that no previous daemon has left: publishing them can need privileges. False
 * when another process has the path of one, and no previous daemon has left anything to be resumed.
 */
bool devices_start_new(struct daemon *d);

/* The rest of them at a start, without another try of those that have just failed. As above. */
bool devices_start_others(struct daemon *d);

/*
 * Devices that are the same in `next` run on, in their places there; the others are withdrawn.
 * `next` becomes d->config before devices_start() publishes what is new in it.
 */
void devices_keep(struct daemon *d, const struct config *next);

/* The name of a configured device that CUSE does not serve: its mount takes privileges. NULL: none.
 */
const char *devices_not_by_cuse(const struct daemon *d);

/*
 * Before privileges are dropped: removes lock files of CUSE devices, which could not be removed
 * later. The kernel gives each name of CUSE once.
 */
void devices_unlock(struct daemon *d);
void devices_stop(struct daemon *d);

/* Withdraws those that the next daemon cannot resume; the others are not touched any more. */
void devices_stop_unstored(struct daemon *d);

/* The rows of all that are configured. */
void devices_status(const struct daemon *d, struct evbuffer *out);

#endif
