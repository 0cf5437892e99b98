/* SPDX-License-Identifier: MIT */
/*
 * Mounting without root, through the set-uid helper fusermount3(1): it mounts, and hands the
 * connection back over the socket named in _FUSE_COMMFD. Does not work under NoNewPrivileges.
 */
#ifndef PRIV_FUSERMOUNT_H
#define PRIV_FUSERMOUNT_H

/* fd (non-blocking, close-on-exec), or -errno: -ENOENT without the helper, -EPERM: it refused. */
int fusermount_mount(const char *path);

/* 0, or -errno as above. The helper may look at `path`: who serves that must not wait for it. */
int fusermount_unmount(const char *path);

#endif
