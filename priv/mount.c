/* SPDX-License-Identifier: MIT */
#include "priv/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "priv/fusermount.h"
#include "priv/mounter.h"

/* fusermount3 requires write permission on the mount point; root does not. */
#define MOUNT_POINT_MODE_ROOT 0000
#define MOUNT_POINT_MODE_USER 0200

static bool
is_root(void)
{
	return geteuid() == 0;
}

/* Mounts on one path are listed from the bottom: the last one is on top. */
int
priv_mount_look(const char *path, enum priv_mounted *ret)
{
	FILE *file = setmntent("/proc/self/mounts", "re");
	const struct mntent *m;

	if (file == NULL)
		return -errno;
	*ret = PRIV_MOUNTED_NOTHING;
	while ((m = getmntent(file)) != NULL)
		if (strcmp(m->mnt_dir, path) == 0)
			*ret = strcmp(m->mnt_type, PRIV_MOUNT_TYPE) == 0 ? PRIV_MOUNTED_OURS
									 : PRIV_MOUNTED_OTHER;
	endmntent(file);
	return 0;
}

int
priv_mount_point_create(const char *path)
{
	mode_t mode = is_root() ? MOUNT_POINT_MODE_ROOT : MOUNT_POINT_MODE_USER;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return mounter_is_needed(errno) ? mounter_ask(MOUNTER_CREATE, path, NULL) : -errno;
	close(fd);
	return 0;
}

static bool
is_mount_point_file(const struct stat *st, uid_t owner)
{
	mode_t mode = st->st_mode & 07777;

	return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_nlink == 1 &&
	       (st->st_uid == owner || st->st_uid == 0) &&
	       (mode == MOUNT_POINT_MODE_ROOT || mode == MOUNT_POINT_MODE_USER);
}

int
priv_mount_point_remove(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_mount_point_file(&st, geteuid()))
		return -EEXIST;
	if (unlink(path) == 0)
		return 0;
	return mounter_is_needed(errno) ? mounter_ask(MOUNTER_REMOVE, path, NULL) : -errno;
}

/* The device's mode decides its readers; no file in the mount can be executed or be a device. */
static int
mount_at(int point, uid_t owner)
{
	char options[128], path[64];
	int fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int result;

	if (fd < 0)
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=%o,user_id=%u,group_id=0,allow_other,default_permissions", fd,
		 S_IFREG, owner);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", point);
	if (mount(PRIV_MOUNT_SOURCE, path, PRIV_MOUNT_TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  options) == 0)
		return fd;
	result = -errno;
	close(fd);
	return result;
}

/* Mounts over the file that it has checked, also when another file takes its place. */
int
priv_mount_of(const char *path, uid_t owner)
{
	int point = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), result = -EEXIST;
	struct stat st;

	if (point < 0)
		return -errno;
	if (fstat(point, &st) != 0)
		result = -errno;
	else if (is_mount_point_file(&st, owner))
		result = mount_at(point, owner);
	close(point);
	return result;
}

int
priv_mount(const char *path)
{
	if (mounter_is_there())
		return mounter_ask(MOUNTER_MOUNT, path, NULL);
	return is_root() ? priv_mount_of(path, 0) : fusermount_mount(path);
}

int
priv_unmount(const char *path)
{
	if (mounter_is_there())
		return mounter_ask(MOUNTER_UNMOUNT, path, NULL);
	if (!is_root())
		return fusermount_unmount(path);
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
}
