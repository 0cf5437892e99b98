/* SPDX-License-Identifier: MIT */
/* SIGHUP: reads the configuration and the keyring again; unchanged parts run on undisturbed. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/daemon.h"

/*
 * When either file is bad nothing changes. Otherwise the new keyring is in force, parts that are
 * the same in both configurations run on, and the others are stopped or started. Changes in
 * [daemon] and [pool] need a restart, with a line in the log.
 */
void reload(struct daemon *d);

/* The keyring only. False after a line in the log when it is bad: nothing has changed. */
bool reload_keyring(struct daemon *d);

#endif
