/* SPDX-License-Identifier: MIT */
/*
 * The process that is started: it starts the daemon, as a process of its own, and another one when
 * that is killed; and keeps what the next one needs to go on with the same devices (priv/kept.h).
 * It reads no configuration, opens nothing, and takes messages of one exact size. Where the service
 * manager has a store for fds, it has them as well, for the time when we are gone too.
 */
#ifndef DAEMON_PARENT_H
#define DAEMON_PARENT_H

/*
 * Runs until SIGTERM or SIGINT, or until a daemon says that it is over. SIGHUP goes to the daemon.
 * SIGUSR2: the daemon goes and its devices stay, for the next one, which is the service manager's
 * to start if that has them, else ours. The exit status is the daemon's; -errno when we cannot be a
 * parent (no /proc), and nothing has happened.
 */
int parent_run(char *const argv[]);

#endif
