/* SPDX-License-Identifier: MIT */
/* What the process may do. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>

#define PRIVILEGES_USER "ekey-random"

/*
 * The user to become: `configured`, else PRIVILEGES_USER where root started us and it exists. NULL:
 * none; a line in the log says why root stays.
 */
const char *privileges_user(const char *configured);

/* Gives the directory at `path` to `user`, who is then able to remove what is in it. 0 or -errno.
 */
int privileges_give(const char *path, const char *user);

/*
 * Becomes `user` with its groups, without any capability, for good, and checks that it held. 0 or
 * -errno: -ENOENT no such user, -EPERM we are neither root nor that user already.
 */
int privileges_drop(const char *user);

/*
 * The last step, for good: who is not root has no capability any more, and unless `set_uid` no
 * program that we execute can gain a right. 0 or -errno.
 */
int privileges_seal(bool set_uid);

#endif
