/* SPDX-License-Identifier: MIT */
/* What the process may do. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

/*
 * Becomes `user` with its groups, without any capability, for good, and checks that it held. 0 or
 * -errno: -ENOENT no such user, -EPERM we are neither root nor that user already.
 */
int privileges_drop(const char *user);

#endif
