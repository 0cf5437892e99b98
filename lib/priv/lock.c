/* SPDX-License-Identifier: MIT */
#include "lib/priv/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/priv/mounter.h"

static int
lock_path(const char *path, char *ret, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	int n = snprintf(ret, size, "%.*s.%s.lock", (int)(name - path), path, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static pid_t
lock_holder(int fd)
{
	char text[16] = "";
	long pid = pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;

	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* The previous holder removes the file at its end: the locked file may have no name any more. */
static bool
lock_is_at(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

/* Writes our pid; a full disk makes this an error, because the holder could not be named. */
static int
lock_sign(int fd)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t n;

	if (ftruncate(fd, 0) != 0)
		return -errno;
	n = pwrite(fd, text, (size_t)len, 0);
	if (n < 0)
		return -errno;
	return n == len ? 0 : -ENOSPC;
}

static int
lock_by_mounter(const char *path, pid_t *ret_holder)
{
	int fd = mounter_ask(MOUNTER_LOCK, path, ret_holder);

	if (fd >= 0)
		(void)lock_sign(fd);
	return fd;
}

int
priv_lock(const char *path, pid_t *ret_holder)
{
	char file[PATH_MAX];
	int fd, result = lock_path(path, file, sizeof(file));

	if (result < 0)
		return result;
	for (;;) {
		fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return mounter_is_needed(errno) ? lock_by_mounter(path, ret_holder)
							: -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			result = errno == EWOULDBLOCK ? -EBUSY : -errno;
			*ret_holder = lock_holder(fd);
			break;
		}
		if (lock_is_at(fd, file)) {
			result = lock_sign(fd);
			if (result < 0)
				unlink(file);
			break;
		}
		close(fd);
	}
	if (result < 0) {
		close(fd);
		return result;
	}
	return fd;
}

int
priv_lock_resume(const char *path, int fd)
{
	char file[PATH_MAX];
	int result = lock_path(path, file, sizeof(file));

	if (result == 0 && !lock_is_at(fd, file))
		result = -ESTALE;
	return result == 0 ? lock_sign(fd) : result;
}

bool
priv_lock_names(const char *path, pid_t pid, uid_t owner)
{
	char file[PATH_MAX];
	struct stat st;
	bool named;
	int fd;

	if (lock_path(path, file, sizeof(file)) < 0)
		return false;
	fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	named = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_uid == 0 || st.st_uid == owner) && lock_holder(fd) == pid;
	close(fd);
	return named;
}

int
priv_lock_remove(const char *path)
{
	char file[PATH_MAX];
	int result = lock_path(path, file, sizeof(file));

	if (result == 0 && unlink(file) != 0)
		result = -errno;
	return mounter_is_needed(-result) ? mounter_ask(MOUNTER_UNLOCK, path, NULL) : result;
}

void
priv_unlock(const char *path, int fd)
{
	(void)priv_lock_remove(path);
	close(fd);
}
