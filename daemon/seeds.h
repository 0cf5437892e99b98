/* SPDX-License-Identifier: MIT */
/*
 * A seed for others, by order over the control socket:
 *     Seed      one row of 256 bytes, in hexadecimal
 * They have been in nobody else's hands, and are the orderer's to pass on, once. An order waits for
 * them in the pool's queue as an identity of its own, with the right to the reserve: readers that
 * take all that comes cannot starve it.
 */
#ifndef DAEMON_SEEDS_H
#define DAEMON_SEEDS_H

#include "ctl/server.h"

/* For ctl_command.run and .gone; `arg` is the daemon. */
const char *seeds_order(void *arg, const struct ctl_request *request);
void seeds_gone(void *arg, uint64_t ticket);

#endif
