/* SPDX-License-Identifier: MIT */
#include "lib/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_MODE_OWN 0600
#define NEW_MODE_SHARED 0640 /* with the group of the directory: the daemon's */

static int
atomic_file_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* ---- owner and mode ---- */

static int
replace_own(int fd, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) != 0)
		return -errno;
	return fchmod(fd, mode) == 0 ? 0 : -errno;
}

static int
replace_own_new(const struct atomic_file *r)
{
	struct stat dir;

	if (fstat(r->dir, &dir) != 0)
		return -errno;
	if (geteuid() == 0)
		return replace_own(r->fd, 0, dir.st_gid, NEW_MODE_SHARED);
	return fchmod(r->fd, NEW_MODE_OWN) == 0 ? 0 : -errno;
}

static int
replace_own_as_before(const struct atomic_file *r)
{
	struct stat st;

	if (fstatat(r->dir, r->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? replace_own_new(r) : -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return replace_own(r->fd, st.st_uid, st.st_gid, st.st_mode & 0777);
}

/* ---- the steps ---- */

static int
atomic_file_open_dir(struct atomic_file *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char dir[4096];
	int len = slash == path ? 1 : (int)(name - path);

	if (snprintf(r->name, sizeof(r->name), "%s", name) >= (int)sizeof(r->name) ||
	    len >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", len > 0 ? len : 1, len > 0 ? path : ".");
	r->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->dir < 0 ? -errno : 0;
}

static int
atomic_file_open_temporary(struct atomic_file *r)
{
	uint32_t number;
	int len;

	if (getrandom(&number, sizeof(number), GRND_INSECURE) != sizeof(number))
		return -errno;
	len = snprintf(r->temporary, sizeof(r->temporary), ".%s.%08" PRIx32, r->name, number);
	if (len < 0 || len >= (int)sizeof(r->temporary)) {
		r->temporary[0] = '\0';
		return -ENAMETOOLONG;
	}
	r->fd = openat(r->dir, r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       NEW_MODE_OWN);
	return r->fd < 0 ? -errno : 0;
}

int
atomic_file_prepare(struct atomic_file *r, const char *path, size_t len)
{
	int result;

	*r = (struct atomic_file){.dir = -1, .fd = -1};
	result = atomic_file_open_dir(r, path);
	if (result == 0)
		result = atomic_file_open_temporary(r);
	if (result == 0)
		result = replace_own_as_before(r);
	if (result == 0)
		result = -posix_fallocate(r->fd, 0, (off_t)len); /* not sparse: it must fit */
	if (result == 0 && fsync(r->fd) != 0)
		result = -errno;
	if (result < 0)
		atomic_file_abandon(r);
	return result;
}

static int
replace_store(struct atomic_file *r, const char *text, size_t len)
{
	int result;

	if (lseek(r->fd, 0, SEEK_SET) != 0)
		return -errno;
	result = atomic_file_write(r->fd, text, len);
	if (result < 0)
		return result;
	if (ftruncate(r->fd, (off_t)len) != 0 || fsync(r->fd) != 0 ||
	    renameat(r->dir, r->temporary, r->dir, r->name) != 0)
		return -errno;
	r->temporary[0] = '\0'; /* it has another name now */
	return fsync(r->dir) == 0 ? 0 : -errno;
}

int
atomic_file_commit(struct atomic_file *r, const char *text, size_t len)
{
	int result = replace_store(r, text, len);

	atomic_file_abandon(r);
	return result;
}

void
atomic_file_abandon(struct atomic_file *r)
{
	if (r->fd >= 0) {
		if (r->temporary[0] != '\0')
			(void)unlinkat(r->dir, r->temporary, 0);
		close(r->fd);
	}
	if (r->dir >= 0)
		close(r->dir);
	*r = (struct atomic_file){.dir = -1, .fd = -1};
}
