/* SPDX-License-Identifier: MIT */
/* The key by opening its device here: a tty, or a Unix socket. For when no daemon runs. */
#ifndef TOOL_DEVICE_H
#define TOOL_DEVICE_H

#include "tool/reach.h"

/* *ret_reach is set with EXIT_OK only. */
enum exit_code device_reach(const char *path, const uint8_t serial[static KEYED_SERIAL_LEN],
			    struct reach **ret_reach);

#endif
