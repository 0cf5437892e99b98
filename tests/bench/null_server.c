/* SPDX-License-Identifier: MIT */
/*
 * The least that a libfuse server can do: constant bytes, at once, to everybody, by the carrier and
 * with the open flags of the real device. What it needs is the round trip; what ours needs above
 * that is ours. `null_server PATH` mounts a file, `null_server cuse:NAME` makes /dev/NAME.
 */
#include <cuse_lowlevel.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char zeros[1 << 20]; /* the longest read that a kernel passes on */

static void
null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct stat st = {.st_ino = ino, .st_mode = S_IFREG | 0444, .st_nlink = 1};

	(void)fi;
	fuse_reply_attr(req, &st, 3600);
}

/* By hand: libfuse knows no FOPEN_STREAM (doc/device.md 3). */
static void
null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct fuse_open_out out = {.open_flags =
						  FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NOFLUSH};

	(void)ino;
	(void)fi;
	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void
null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	(void)off;
	(void)fi;
	fuse_reply_buf(req, zeros, size < sizeof(zeros) ? size : sizeof(zeros));
}

static void
null_cuse_open(fuse_req_t req, struct fuse_file_info *fi)
{
	fuse_reply_open(req, fi);
}

static void
null_cuse_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
	null_read(req, 0, size, off, fi);
}

/* As the device does: one thread, a non-blocking fd, drained whenever it is readable. */
static void
null_serve(struct fuse_session *se)
{
	struct pollfd wait = {.fd = fuse_session_fd(se), .events = POLLIN};
	struct fuse_buf request = {0};

	fcntl(wait.fd, F_SETFL, O_NONBLOCK);
	while (!fuse_session_exited(se) && poll(&wait, 1, -1) > 0) {
		while (fuse_session_receive_buf(se, &request) > 0)
			fuse_session_process_buf(se, &request);
	}
}

static void
null_mount(struct fuse_args *args, const char *path)
{
	static const struct fuse_lowlevel_ops ops = {
		.getattr = null_getattr, .open = null_open, .read = null_read};
	struct fuse_session *se = fuse_session_new(args, &ops, sizeof(ops), NULL);

	if (se == NULL || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, path) != 0)
		errx(1, "cannot mount %s", path);
	null_serve(se);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
}

static ssize_t
cuse_writev(int fd, struct iovec *iov, int count, void *arg)
{
	(void)arg;
	return writev(fd, iov, count);
}

static ssize_t
cuse_read(int fd, void *bytes, size_t len, void *arg)
{
	(void)arg;
	return read(fd, bytes, len);
}

static void
null_cuse(struct fuse_args *args, const char *name)
{
	static const struct cuse_lowlevel_ops ops = {.open = null_cuse_open,
						     .read = null_cuse_read};
	static const struct fuse_custom_io io = {.writev = cuse_writev, .read = cuse_read};
	char dev_name[64];
	const char *dev_info[] = {dev_name};
	const struct cuse_info info = {.dev_info_argc = 1, .dev_info_argv = dev_info};
	struct fuse_session *se;
	int fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);

	snprintf(dev_name, sizeof(dev_name), "DEVNAME=%s", name);
	se = cuse_lowlevel_new(args, &info, &ops, NULL);
	if (se == NULL || fd < 0 || fuse_set_signal_handlers(se) != 0 ||
	    fuse_session_custom_io(se, &io, fd) != 0)
		errx(1, "cannot make /dev/%s", name);
	null_serve(se);
	fuse_session_destroy(se);
}

int
main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	if (argc != 2)
		errx(2, "usage: null_server PATH | cuse:NAME");
	if (strncmp(argv[1], "cuse:", 5) == 0)
		null_cuse(&args, argv[1] + 5);
	else
		null_mount(&args, argv[1]);
	return 0;
}
