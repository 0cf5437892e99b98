/* SPDX-License-Identifier: MIT */
/* What the process may do, and what others may do to it. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

/* No core dump, no ptrace, no /proc/PID/mem by our own uid: entropy and keys stay inside. */
void privileges_shield(void);

/*
 * Becomes `user` with its groups, without any capability, for good, and checks that it held. 0 or
 * -errno: -ENOENT no such user, -EPERM we are neither root nor that user already.
 */
int privileges_drop(const char *user);

#endif
