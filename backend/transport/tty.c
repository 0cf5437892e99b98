/* SPDX-License-Identifier: MIT */
#include "backend/transport/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Returns the type before a device is opened, since opening can act on it (and arm a watchdog).
 * DONT_SYNC: no request goes to a file server, which may hang, or be this process. 0 or -errno.
 */
static int
look(const char *path, struct statx *ret)
{
	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, ret) == 0 ? 0 : -errno;
}

static bool
is_cuse(const struct statx *st)
{
	char path[64], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", st->stx_rdev_major, st->stx_rdev_minor);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	return strstr(target, "/cuse/") != NULL;
}

/* -EMEDIUMTYPE for a file of another type, -EDEADLK for a CUSE device: see tty_open_input(). */
static int
open_input(const char *path)
{
	struct statx st;
	int result = look(path, &st);

	if (result == 0 && !S_ISCHR(st.stx_mode) && !S_ISFIFO(st.stx_mode))
		result = -EMEDIUMTYPE;
	else if (result == 0 && S_ISCHR(st.stx_mode) && is_cuse(&st))
		result = -EDEADLK;
	if (result == 0)
		result = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	return result == -1 ? -errno : result;
}

/* Never our controlling terminal. -ENOTTY for a file of another type. */
static int
open_tty(const char *path)
{
	struct statx st;
	int fd = look(path, &st);

	if (fd < 0)
		return fd;
	if (!S_ISCHR(st.stx_mode))
		return -ENOTTY;
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!isatty(fd)) {
		close(fd);
		return -ENOTTY;
	}
	return fd;
}

/*
 * TIOCEXCL keeps later openers out, but not root, nor a process that opened it before; the lock
 * keeps a second daemon out in every case.
 */
static int
tty_claim(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return ioctl(fd, TIOCEXCL) == 0 ? 0 : -errno;
}

static int
tty_set_raw(int fd, const struct termios *before)
{
	struct termios raw = *before;

	cfmakeraw(&raw); /* 8 bits, no parity, no echo, signals or translation */
	raw.c_iflag |= IGNBRK;
	raw.c_iflag &= ~(tcflag_t)(IXOFF | IXANY | INPCK);
	raw.c_cflag |= CLOCAL | CREAD;
	/* Without HUPCL the close() drops no modem-control line. */
	raw.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS | HUPCL);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	cfsetspeed(&raw, B115200); /* no meaning for the key; as ekeyd sets it */
	return tcsetattr(fd, TCSANOW, &raw) == 0 ? 0 : -errno;
}

/* Takes over `fd`, which may be -errno. */
static int
tty_set_up(int fd, struct tty *ret)
{
	struct tty tty = {.fd = fd, .is_tty = true};
	int result;

	if (fd < 0)
		return fd;
	result = tty_claim(tty.fd);
	if (result == 0 && tcgetattr(tty.fd, &tty.before) != 0)
		result = -errno;
	if (result == 0)
		result = tty_set_raw(tty.fd, &tty.before);
	if (result < 0) {
		close(tty.fd);
		return result;
	}
	tcflush(tty.fd, TCIOFLUSH);
	*ret = tty;
	return 0;
}

int
tty_open(const char *path, struct tty *ret)
{
	return tty_set_up(open_tty(path), ret);
}

int
tty_open_input(const char *path, struct tty *ret)
{
	int fd = open_input(path);

	if (fd < 0 || isatty(fd))
		return tty_set_up(fd, ret);
	*ret = (struct tty){.fd = fd};
	return 0;
}

void
tty_close(struct tty *tty)
{
	if (tty->is_tty) {
		tty->before.c_cflag &= ~(tcflag_t)HUPCL; /* for the close() below */
		tcflush(tty->fd, TCOFLUSH); /* else close() may wait for a device that hangs */
		tcsetattr(tty->fd, TCSANOW, &tty->before);
		ioctl(tty->fd, TIOCNXCL);
	}
	close(tty->fd);
	tty->fd = -1;
}
