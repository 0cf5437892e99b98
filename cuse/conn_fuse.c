/* SPDX-License-Identifier: MIT */
/* A FUSE file system that is one regular file, mounted over a file at the path. */
#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cuse/conn.h"
#include "lib/log.h"
#include "lib/priv/mount.h"
#include "lib/priv/mounter.h"

/* Nothing about the file ever changes while it is mounted. */
#define FUSE_ATTR_TIMEOUT_S 3600.0

/* No user may write, but the kernel requires a buffer for it. */
#define FUSE_WRITE_MAX (TABLE_REQUEST_MAX - 4096)

static struct conn *
fuse_conn(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void
fuse_init(void *userdata, struct fuse_conn_info *connection)
{
	struct conn *c = userdata;

	if (connection->max_write > FUSE_WRITE_MAX)
		connection->max_write = FUSE_WRITE_MAX;
	c->initialised = true;
}

/*
 * The size stays 0: with any other, kernels up to 6.18 serve sendfile from the page cache, the same
 * bytes twice.
 */
static void
fuse_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = {
		.st_ino = FUSE_ROOT_ID,
		.st_mode = S_IFREG | fuse_conn(req)->mode,
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_blksize = POOL_GATHER_MAX,
	};

	(void)ino, (void)fi;
	fuse_reply_attr(req, &st, FUSE_ATTR_TIMEOUT_S);
}

/* Mode and owner come from the configuration. */
static void
fuse_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	(void)ino, (void)st, (void)to_set, (void)fi;
	fuse_reply_err(req, EPERM);
}

/*
 * STREAM: without it the kernel locks the file position around a read, and a second reader of a
 * shared descriptor waits where not even SIGKILL reaches it. NOFLUSH: closing never waits for us.
 */
static void
fuse_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	conn_open_file(fuse_conn(req), req, fi->flags,
		       FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NOFLUSH);
}

static void
fuse_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	requests_release(fuse_conn(req)->requests, fi->fh);
	fuse_reply_err(req, 0);
}

static void
fuse_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	const struct conn *c = fuse_conn(req);

	(void)ino, (void)offset;
	requests_read(c->requests, req, c->unique, fi, size);
}

static void
fuse_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg, struct fuse_file_info *fi,
	   unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	(void)ino, (void)arg, (void)fi, (void)flags, (void)in, (void)in_size;
	requests_ioctl(fuse_conn(req)->requests, req, command, out_size);
}

static void
fuse_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	const struct conn *c = fuse_conn(req);

	(void)ino;
	requests_poll(c->requests, req, fi, ph, c->poll_handle);
}

static void
fuse_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = {.f_bsize = POOL_GATHER_MAX, .f_namemax = 255};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops fuse_operations = {
	.init = fuse_init,
	.getattr = fuse_getattr,
	.setattr = fuse_setattr,
	.open = fuse_open,
	.release = fuse_release,
	.read = fuse_read,
	.ioctl = fuse_ioctl,
	.poll = fuse_poll,
	.statfs = fuse_statfs,
};

/* ---- the kind ---- */

static const char *
why_not(int error)
{
	if (error == -ENOENT)
		return "no /dev/fuse, or without root no fusermount3";
	if (error == -EPERM && geteuid() != 0 && !mounter_is_there())
		return "fusermount3 failed; a device that a reload adds needs a restart, and a"
		       " service needs more rights: see SYSTEMD in ekey-randomd(8)";
	return strerror(-error);
}

static const char *
see_more(void)
{
	return mounter_is_there() ? "; see the log of " MOUNTER_NAME : "";
}

static int
fuse_connect(struct conn *c)
{
	int fd, result = priv_mount_point_create(c->path);

	if (result < 0)
		return conn_fail(c, result, "cannot make the file to mount over: %s%s",
				 strerror(-result), see_more());
	fd = priv_mount(c->path);
	if (fd < 0) {
		priv_mount_point_remove(c->path);
		return conn_fail(c, -ENODEV, "FUSE cannot be mounted here: %s%s", why_not(fd),
				 see_more());
	}
	return fd;
}

static struct fuse_session *
fuse_session(struct conn *c)
{
	char program[] = "ekey-random", *argv[] = {program};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session =
		fuse_session_new(&args, &fuse_operations, sizeof(fuse_operations), c);

	fuse_opt_free_args(&args);
	return session;
}

static int
fuse_publish(struct conn *c)
{
	enum priv_mounted mounted;

	if (priv_mount_look(c->path, &mounted) == 0 && mounted != PRIV_MOUNTED_OURS)
		return conn_fail(c, -ENODEV, "it was unmounted");
	return 0;
}

/* It may have been unmounted already: another file at the path is not touched. */
static void
fuse_withdraw(struct conn *c)
{
	enum priv_mounted mounted;
	int result = priv_mount_look(c->path, &mounted);

	if (result == 0 && mounted == PRIV_MOUNTED_OURS) {
		result = priv_unmount(c->path);
		mounted = PRIV_MOUNTED_NOTHING;
	}
	if (result == 0 && mounted == PRIV_MOUNTED_NOTHING)
		result = priv_mount_point_remove(c->path);
	if (result < 0)
		log_err("%s: cannot be removed: %s; readers find it dead until the next start, or"
			" until root unmounts it (umount -l) and removes the file",
			c->path, strerror(-result));
}

const struct conn_kind conn_fuse = {
	.name = "fuse",
	.connect = fuse_connect,
	.session = fuse_session,
	.publish = fuse_publish,
	.withdraw = fuse_withdraw,
};
