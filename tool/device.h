/* SPDX-License-Identifier: MIT */
/* The key by opening its device here: on USB, a tty, or a Unix socket. For when no daemon runs. */
#ifndef TOOL_DEVICE_H
#define TOOL_DEVICE_H

#include <stdbool.h>

#include "tool/reach.h"

/*
 * `address`: "usb" for the key of that serial number, "usb:SERIAL", "unix:PATH", or the path of a
 * tty or socket; lives as long as the reach. *ret_reach is set with EXIT_OK only.
 */
enum exit_code device_reach(const char *address, const uint8_t serial[static KEYED_SERIAL_LEN],
			    struct reach **ret_reach);

/* --device takes the path of a socket without its "unix:", too. */
bool device_is_socket(const char *path);

#endif
