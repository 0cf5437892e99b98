/* SPDX-License-Identifier: MIT */
/* The control socket's command "HwReport [SERIAL]": rows "*\tLINE" of a report (backend/report.h).
 */
#ifndef DAEMON_HWREPORT_H
#define DAEMON_HWREPORT_H

#include "daemon/ctl/server.h"

/* For ctl_command.run; `arg` is the daemon. */
const char *hwreport_write(void *arg, const struct ctl_request *request);

#endif
