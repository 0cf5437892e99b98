/* SPDX-License-Identifier: MIT */
#include "lib/priv/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd_pass.h"
#include "lib/priv/mounter.h"

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

/* ---- without root: fusermount3 ---- */

/*
 * This set-uid program mounts, and passes the connection back by the socket named in _FUSE_COMMFD;
 * it cannot work with no_new_privs. -ENOENT without it, -EPERM when it refuses.
 */
#define FUSERMOUNT "fusermount3"
#define FUSERMOUNT_OPTIONS \
	"fsname=ekey-random,subtype=ekey-random,nosuid,nodev,noexec,default_permissions"
#define FUSERMOUNT_PATH "PATH=/usr/local/bin:/usr/bin:/bin"

/* Starts fusermount3 with a small environment; `comm_fd` (or -1) stays open in it. */
static int
fusermount_spawn(const char *const argv[], int comm_fd, pid_t *ret_pid)
{
	char comm[32], path[] = FUSERMOUNT_PATH;
	char *const env[] = {path, comm, NULL};
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return -error;
	snprintf(comm, sizeof(comm), "_FUSE_COMMFD=%d", comm_fd);
	/* A dup2 onto itself makes posix_spawn clear close-on-exec. */
	if (comm_fd >= 0)
		error = posix_spawn_file_actions_adddup2(&actions, comm_fd, comm_fd);
	if (error == 0)
		error = posix_spawnp(ret_pid, argv[0], &actions, NULL,
				     (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

static int
fusermount_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Receives one byte with one descriptor, or the end of the stream after a refusal. */
static int
fusermount_receive(int socket)
{
	char byte;
	const struct iovec part = {&byte, 1};
	ssize_t n;
	int fd;

	do
		n = fd_pass_receive(socket, &part, 1, &fd, 1, 0);
	while (n == -EINTR);
	return fd >= 0 ? fd : -EPERM;
}

static int
fusermount_mount(const char *path)
{
	const char *const argv[] = {FUSERMOUNT, "-o", FUSERMOUNT_OPTIONS, "--", path, NULL};
	int pair[2], result, fd;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	result = fusermount_spawn(argv, pair[0], &pid);
	close(pair[0]);
	if (result < 0) {
		close(pair[1]);
		return result;
	}
	fd = fusermount_receive(pair[1]);
	close(pair[1]);
	result = fusermount_wait(pid);
	if (fd >= 0 && (result < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
		close(fd);
		return result < 0 ? result : -errno;
	}
	return fd;
}

static int
fusermount_unmount(const char *path)
{
	const char *const argv[] = {FUSERMOUNT, "-u", "-z", "-q", "--", path, NULL};
	pid_t pid = 0;
	int result = fusermount_spawn(argv, -1, &pid);

	return result < 0 ? result : fusermount_wait(pid);
}

/* ---- by any of them ---- */

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
