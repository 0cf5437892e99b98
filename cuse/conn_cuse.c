/* SPDX-License-Identifier: MIT */
/* A character device by CUSE. The kernel names it after the path: directly below /dev. */
#include <cuse_lowlevel.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cuse/conn.h"
#include "lib/file.h"

#define CUSE_DIR "/dev/"

static const char *
cuse_name(const struct conn *c)
{
	return c->path + strlen(CUSE_DIR);
}

/* ---- operations ---- */

static struct conn *
cuse_conn(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static void
cuse_init_done(void *userdata)
{
	struct conn *c = userdata;

	c->initialised = true;
}

static void
cuse_open(fuse_req_t req, struct fuse_file_info *fi)
{
	conn_open_file(cuse_conn(req), req, fi->flags, FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE);
}

static void
cuse_release(fuse_req_t req, struct fuse_file_info *fi)
{
	requests_release(cuse_conn(req)->requests, fi->fh);
	fuse_reply_err(req, 0);
}

static void
cuse_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
	const struct conn *c = cuse_conn(req);

	(void)offset;
	requests_read(c->requests, req, c->unique, fi, size);
}

static void
cuse_ioctl(fuse_req_t req, int command, void *arg, struct fuse_file_info *fi, unsigned flags,
	   const void *in, size_t in_size, size_t out_size)
{
	(void)arg, (void)fi, (void)flags, (void)in, (void)in_size;
	requests_ioctl(cuse_conn(req)->requests, req, (unsigned)command, out_size);
}

static void
cuse_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	const struct conn *c = cuse_conn(req);

	requests_poll(c->requests, req, fi, ph, c->poll_handle);
}

/* No flush: libfuse answers ENOSYS once, and closing a file never waits for us again. */
static const struct cuse_lowlevel_ops cuse_operations = {
	.init_done = cuse_init_done,
	.open = cuse_open,
	.release = cuse_release,
	.read = cuse_read,
	.ioctl = cuse_ioctl,
	.poll = cuse_poll,
};

/* ---- the kind ---- */

static int
cuse_connect(struct conn *c)
{
	int fd;

	if (strncmp(c->path, CUSE_DIR, strlen(CUSE_DIR)) != 0 || strchr(cuse_name(c), '/') != NULL)
		return conn_fail(c, -ENODEV, "CUSE makes devices directly below /dev only");
	fd = open("/dev/cuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	if (fd < 0)
		return conn_fail(c, -ENODEV, "%s (/dev/cuse: %s)",
				 fd == -EACCES || fd == -EPERM ? "no permission to use CUSE"
							       : "this kernel has no CUSE",
				 strerror(-fd));
	return fd;
}

static struct fuse_session *
cuse_session(struct conn *c)
{
	char name[sizeof("DEVNAME=") + 256], program[] = "ekey-random";
	const char *info[] = {name};
	struct cuse_info cuse = {.dev_info_argc = 1, .dev_info_argv = info};
	char *argv[] = {program};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;

	snprintf(name, sizeof(name), "DEVNAME=%s", cuse_name(c));
	session = cuse_lowlevel_new(&args, &cuse, &cuse_operations, c);
	fuse_opt_free_args(&args);
	return session;
}

/* The number of our device in sysfs, to be compared with that of the node at our path. */
static int
cuse_sysfs_number(const struct conn *c, dev_t *ret)
{
	char path[sizeof("/sys/class/cuse//dev") + 256];
	char text[sizeof("4294967295:4294967295\n")];
	unsigned major_number, minor_number;

	snprintf(path, sizeof(path), "/sys/class/cuse/%s/dev", cuse_name(c));
	if (!file_line(AT_FDCWD, path, text, sizeof(text)))
		return -ENOENT;
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return -EIO;
	*ret = makedev(major_number, minor_number);
	return 0;
}

/*
 * The kernel makes the node for root alone, whatever our user. A server without root has no right
 * to it: there the rule for SUBSYSTEM=="cuse" in udev/60-ekey-random.rules opens it a moment later.
 */
static int
cuse_set_mode(struct conn *c)
{
	int result = chmod(c->path, c->mode) == 0 ? 0 : -errno;

	c->mode_is_udevs = result == -EPERM;
	return c->mode_is_udevs ? 0 : result;
}

/*
 * CUSE accepts every handshake and then ends the connection when it could not make the device. The
 * node is looked at by lstat only, which asks devtmpfs and never the device.
 */
static int
cuse_publish(struct conn *c)
{
	struct stat st;
	dev_t number = 0;
	int result = conn_drain(c);

	if (result < 0)
		return conn_fail(c, -EEXIST,
				 "the kernel refused CUSE this name: another device has it, or no "
				 "number is left (see dmesg); choose another path");
	result = cuse_sysfs_number(c, &number);
	if (result < 0)
		return conn_fail(c, -ENODEV, "no such device in /sys/class/cuse: %s",
				 strerror(-result));
	if (lstat(c->path, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != number)
		return conn_fail(c, -ENODEV,
				 "the kernel made the device, but its node is not at this path "
				 "(is /dev a devtmpfs here?); use via = fuse");
	result = cuse_set_mode(c);
	if (result < 0)
		return conn_fail(c, result, "cannot set its mode: %s", strerror(-result));
	return 0;
}

/* The node goes with the connection. */
static void
cuse_withdraw(struct conn *c)
{
	(void)c;
}

const struct conn_kind conn_cuse = {
	.name = "cuse",
	.connect = cuse_connect,
	.session = cuse_session,
	.publish = cuse_publish,
	.withdraw = cuse_withdraw,
};
