/* SPDX-License-Identifier: MIT */
/*
 * A FUSE mount of one regular file: the privileged acts, each one function. By ekey-mount
 * (lib/priv/mounter.h) where it is there, otherwise as root by mount(2), or by fusermount3. `path`
 * is always the resolved path (no symbolic link in it), as in the kernel's list of mounts. No
 * function touches the mounted file system.
 */
#ifndef LIB_PRIV_MOUNT_H
#define LIB_PRIV_MOUNT_H

#include <sys/types.h>

#define PRIV_MOUNT_TYPE "fuse.ekey-random"
#define PRIV_MOUNT_SOURCE "ekey-random"

enum priv_mounted {
	PRIV_MOUNTED_NOTHING,
	PRIV_MOUNTED_OURS,  /* of PRIV_MOUNT_TYPE: served, or dead */
	PRIV_MOUNTED_OTHER, /* of another type */
};

/* Looks up the top mount at `path`. 0, or -errno when the list of mounts cannot be read. */
int priv_mount_look(const char *path, enum priv_mounted *ret);

/*
 * Makes the empty file to mount over, without read permission: a reader must see an error while the
 * device is not mounted, not an end of file. 0 or -errno (-EEXIST: the path exists).
 */
int priv_mount_point_create(const char *path);

/*
 * Removes such a file, if it is still empty. 0 when the path is free, -EEXIST for another file, or
 * -errno. The caller has seen PRIV_MOUNTED_NOTHING.
 */
int priv_mount_point_remove(const char *path);

/* Mounts over the file at `path`. Returns the connection (non-blocking, close-on-exec) or -errno.
 */
int priv_mount(const char *path);

/* The same, as root, for a server of the user `owner`; root or that user has made the file. */
int priv_mount_of(const char *path, uid_t owner);

/* Detaches the top mount at `path`, with or without a server, in use or not. 0 or -errno. */
int priv_unmount(const char *path);

#endif
