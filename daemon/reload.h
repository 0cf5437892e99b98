/* SPDX-License-Identifier: MIT */
/* SIGHUP: another configuration and keyring, without disturbing what did not change. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/daemon.h"

/*
 * Reads both files. When either is bad nothing changes. Else the new keyring holds, sources and
 * devices that are the same in both configurations run on, the others are stopped or started.
 * [daemon] and [pool] need a restart: a line says so.
 */
void reload(struct daemon *d);

/* The keyring only. False, and nothing has changed, when it is bad: the log says why. */
bool reload_keyring(struct daemon *d);

#endif
