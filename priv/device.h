/* SPDX-License-Identifier: MIT */
/* Acts on devices, each one function. All fds are non-blocking and close-on-exec. */
#ifndef PRIV_DEVICE_H
#define PRIV_DEVICE_H

#include <sys/types.h>

/* Opens a tty for a key: read-write, never our controlling terminal. fd or -errno; -ENOTTY for
 * others. */
int priv_open_tty(const char *path);

/*
 * A character device, tty or FIFO, to read entropy from. fd or -errno: -EMEDIUMTYPE for any other
 * file, -EDEADLK for a device of a CUSE server, which may hang, or be this process.
 */
int priv_open_input(const char *path);

/* Opens /dev/cuse, a new connection for each call. fd or -errno (-ENOENT: the kernel has no CUSE).
 */
int priv_open_cuse(void);

/* Changes the mode of a CUSE node by its path: only devtmpfs acts, not the device. 0 or -errno. */
int priv_chmod_node(const char *path, mode_t mode);

#endif
