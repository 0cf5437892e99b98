/* SPDX-License-Identifier: MIT */
/* Keys without the daemon, for a report: opened here, in session for a while, given back. */
#ifndef TOOL_LISTEN_H
#define TOOL_LISTEN_H

#include <event2/buffer.h>

#include "tool/tool.h"

/*
 * Listens to what options->device names, "usb" being all keys that are plugged in, and gives the
 * report of each, or of the one with this serial number (NULL: all), to `report`: for its caller.
 * Says on stderr what goes wrong.
 */
enum exit_code listen_to_keys(const struct tool_options *options, const char *serial,
			      struct evbuffer *report);

#endif
