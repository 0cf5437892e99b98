/* SPDX-License-Identifier: MIT */
/*
 * The [kernel] section while the daemon runs; four of the verbs are those of daemon/devices.h. The
 * privilege of `credit = yes` is parted from the daemon before all else: one that comes with a
 * reload comes too late for that, and bytes are mixed without credit.
 */
#ifndef DAEMON_KERNEL_H
#define DAEMON_KERNEL_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct daemon;

/* First of all: with `credit = yes` starts the helper that credits. False after a line in the log.
 */
bool kernel_prepare(struct daemon *d);

/* False: no memory, after a line in the log. */
bool kernel_start(struct daemon *d);
void kernel_keep(struct daemon *d, const struct config *next);
void kernel_stop(struct daemon *d);
void kernel_status(const struct daemon *d, struct evbuffer *out);

#endif
