/* SPDX-License-Identifier: MIT */
/*
 * Mounting without root, by the set-uid program fusermount3(1): it mounts, and passes the
 * connection back by the socket named in _FUSE_COMMFD. It cannot work with no_new_privs.
 */
#ifndef PRIV_FUSERMOUNT_H
#define PRIV_FUSERMOUNT_H

/* Returns an fd (non-blocking, close-on-exec) or -errno: -ENOENT without the program, -EPERM: it
 * refused. */
int fusermount_mount(const char *path);

/* 0, or -errno as above. fusermount3 may stat `path`: the server of that path must not wait for it.
 */
int fusermount_unmount(const char *path);

#endif
