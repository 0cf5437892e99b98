/* SPDX-License-Identifier: MIT */
/*
 * A seed for others, by order over the control socket:
 *     Seed      two rows of 256 bytes each, in hexadecimal
 * They have been in nobody else's hands, and are the orderer's to pass on, once.
 */
#ifndef DAEMON_SEEDS_H
#define DAEMON_SEEDS_H

#include "ctl/server.h"

/* For ctl_command.run; `arg` is the daemon. Never waits. */
const char *seeds_order(void *arg, const struct ctl_request *request);

#endif
