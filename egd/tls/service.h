/* SPDX-License-Identifier: MIT */
/* ekey-tls's work for the daemon: its orders (lib/priv/tls_channel.h), one after the other. */
#ifndef EGD_TLS_SERVICE_H
#define EGD_TLS_SERVICE_H

#include <stdbool.h>

/* Serves the daemon at the other end of `channel` until it ends. False after a line in the log. */
bool service_run(int channel);

#endif
