/* SPDX-License-Identifier: MIT */
/*
 * The control socket's command "HwReport [SERIAL]": what an owner can send to people who have never
 * seen a real key. Rows "*\tTEXT" for people to read. What the key is, how fast it answers, which
 * frames it sends: no key, nonce, MAC or entropy byte is in it (ekey/census.h never had them).
 */
#ifndef DAEMON_HWREPORT_H
#define DAEMON_HWREPORT_H

#include "ctl/server.h"

/* For ctl_command.run; `arg` is the daemon. */
const char *hwreport_write(void *arg, const struct ctl_request *request);

#endif
