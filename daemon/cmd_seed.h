/* SPDX-License-Identifier: MIT */
/*
 * A seed for another machine, by a command of an administrator on the control socket:
 *     Seed      one row of 256 bytes, in hexadecimal
 * No other consumer gets these bytes. A command waits for them in the pool's queue as an identity
 * of its own, with the right to the reserve, so that greedy readers cannot starve it.
 */
#ifndef DAEMON_CMD_SEED_H
#define DAEMON_CMD_SEED_H

#include "daemon/ctl/server.h"

/* For ctl_command.run and .gone; `arg` is the daemon. */
const char *cmd_seed(void *arg, const struct ctl_request *request);
void cmd_seed_gone(void *arg, uint64_t ticket);

#endif
