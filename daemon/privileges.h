/* SPDX-License-Identifier: MIT */
/* The user and the privileges of the process. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>

#define PRIVILEGES_USER "ekey-random"

/*
 * The user to become: `configured`, else PRIVILEGES_USER where root started us and it exists. NULL:
 * none; a line in the log says why root stays.
 */
const char *privileges_user(const char *configured);

/* Gives the directory at `path` to `user`, which can then remove the files in it. 0 or -errno. */
int privileges_give(const char *path, const char *user);

/*
 * Becomes `user` with its groups, without any capability, for good, and checks that it held. 0 or
 * -errno: -ENOENT no such user, -EPERM we are neither root nor that user already.
 */
int privileges_drop(const char *user);

/*
 * The last step, for good: gives up all capabilities, unless the process is root; and unless
 * `set_uid`, no program that it executes can gain a right. 0 or -errno.
 */
int privileges_seal(bool set_uid);

#endif
