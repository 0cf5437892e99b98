/* SPDX-License-Identifier: MIT */
/*
 * The control socket's command "Status": one row "*\tKIND\tNAME\tKEY\tVALUE" for each figure. The
 * names are an interface and do not change: daemon/figures.h. A name ends with its unit; a figure
 * without one is a number of bytes. Of the pool, `in` is the sum of `delivered`, `lost` and `held`;
 * of a source, the sum of `pooled`, `rejected` and `held`.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include <event2/buffer.h>

#include "daemon/daemon.h"

void status_write(const struct daemon *d, struct evbuffer *out);

/* Writes one line for the service manager: "1 key, keyed; pool 992/1048576 bytes". */
void status_line(const struct daemon *d, char *ret, size_t size);

#endif
