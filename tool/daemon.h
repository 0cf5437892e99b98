/* SPDX-License-Identifier: MIT */
/* The key through the running daemon, and what the daemon knows of it. */
#ifndef TOOL_DAEMON_H
#define TOOL_DAEMON_H

#include "tool/reach.h"

#define DAEMON_PATH_MAX 1024

/*
 * Connects, and finds the key plugged in. The daemon's keyring must be the one that
 * options->keyring names, if that names one. *ret_reach is set with EXIT_OK only.
 */
enum exit_code daemon_reach(const struct tool_options *options, const char *serial,
			    struct reach **ret_reach);

/* The keyring to use: as told, else the daemon's, else the usual one when no daemon answers. */
void daemon_keyring_path(const struct tool_options *options, char ret[static DAEMON_PATH_MAX]);

#endif
