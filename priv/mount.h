/* SPDX-License-Identifier: MIT */
/*
 * A FUSE mount of one regular file: the privileged acts, each one function. By ekey-mount
 * (priv/mounter.h) where there is one, otherwise as root by mount(2), or by fusermount3. `path` is
 * always the resolved path (no symbolic link in it), since that is what /proc/self/mountinfo shows.
 * None of these ever touches what is mounted at `path`.
 */
#ifndef PRIV_MOUNT_H
#define PRIV_MOUNT_H

#include <sys/types.h>

#define PRIV_MOUNT_TYPE "fuse.ekey-random"
#define PRIV_MOUNT_SOURCE "ekey-random"

enum priv_mounted {
	PRIV_MOUNTED_NOTHING,
	PRIV_MOUNTED_OURS,  /* of PRIV_MOUNT_TYPE: served, or dead */
	PRIV_MOUNTED_OTHER, /* somebody else's */
};

/*
 * What is on top at `path`. *ret_minor (may be NULL) is the minor number of a mount that is ours:
 * its name in /sys/fs/fuse/connections. 0, or -errno when mountinfo cannot be read.
 */
int priv_mount_look(const char *path, enum priv_mounted *ret, unsigned *ret_minor);

/*
 * The empty file to mount over. Nobody may read it: a reader who comes while the device is not
 * mounted must get an error, not an end of file. 0 or -errno (-EEXIST when there is anything).
 */
int priv_mount_point_create(const char *path);

/*
 * Removes such a file when one is at `path`, ours and still empty. 0 when nothing is left there,
 * -EEXIST when it is something else, or -errno. The caller has seen PRIV_MOUNTED_NOTHING.
 */
int priv_mount_point_remove(const char *path);

/* Mounts over the file at `path`. The connection's fd (non-blocking, close-on-exec) or -errno. */
int priv_mount(const char *path);

/* The same, as root, for a server of the user `owner`, who may have made the file. */
int priv_mount_of(const char *path, uid_t owner);

/* Detaches the mount on top at `path`, dead or alive, in use or not. 0 or -errno. */
int priv_unmount(const char *path);

/* The fusectl switch that aborts connection `minor`. fd, or -errno where fusectl is not mounted. */
int priv_open_fuse_abort(unsigned minor);

#endif
