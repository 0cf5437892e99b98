/* SPDX-License-Identifier: MIT */
/*
 * Privileged acts on devices, each one function and nothing else: what a privileged parent will do
 * for an unprivileged core one day. All fds are non-blocking and close-on-exec.
 */
#ifndef PRIV_DEVICE_H
#define PRIV_DEVICE_H

#include <sys/types.h>

/* A tty for a key: read-write, never our controlling terminal. fd or -errno; -ENOTTY for others. */
int priv_open_tty(const char *path);

/*
 * A character device, tty or FIFO, to read entropy from. fd or -errno: -EMEDIUMTYPE for any other
 * file, -EDEADLK for a device of a CUSE server, which may hang, or be this process.
 */
int priv_open_input(const char *path);

/* /dev/cuse, one new connection for each call. fd or -errno (-ENOENT: the kernel has no CUSE). */
int priv_open_cuse(void);

/*
 * The sysfs switch of the CUSE device `name`: one byte written to it ends the connection and every
 * request in it. fd or -errno.
 */
int priv_open_cuse_abort(const char *name);

/* chmod of a CUSE node by path: touches devtmpfs only, never the device itself. 0 or -errno. */
int priv_chmod_node(const char *path, mode_t mode);

#endif
