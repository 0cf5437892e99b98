/* SPDX-License-Identifier: MIT */
/*
 * A pseudo-terminal behind a symbolic link. We hold its far side open ourselves, so that it is
 * never hung up between two hosts, and learn from inotify when a host opens and closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tests/sim/port.h"

static void
pty_make_raw(int terminal)
{
	struct termios t;

	if (tcgetattr(terminal, &t) != 0)
		return;
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	(void)tcsetattr(terminal, TCSANOW, &t);
}

/* Points `path` at the terminal; replaces a link that an earlier process left, nothing else. */
static int
pty_link(const struct port *p)
{
	char fresh[4096];
	struct stat st;

	if (lstat(p->path, &st) == 0 && !S_ISLNK(st.st_mode))
		return -EEXIST;
	if (snprintf(fresh, sizeof(fresh), "%s.new", p->path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	if (unlink(fresh) != 0 && errno != ENOENT)
		return -errno;
	if (symlink(p->terminal_path, fresh) != 0 || rename(fresh, p->path) != 0)
		return -errno;
	return 0;
}

static int
pty_open_pair(struct port *p)
{
	p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0 || grantpt(p->fd) != 0 || unlockpt(p->fd) != 0)
		return -errno;
	if (ptsname_r(p->fd, p->terminal_path, sizeof(p->terminal_path)) != 0)
		return -errno;
	p->terminal = open(p->terminal_path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->terminal < 0)
		return -errno;
	pty_make_raw(p->terminal);
	return 0;
}

/* The watch begins after our own open, which must not count as a host. */
static int
pty_watch(struct port *p)
{
	p->arrivals = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->arrivals < 0 ||
	    inotify_add_watch(p->arrivals, p->terminal_path, IN_OPEN | IN_CLOSE) < 0)
		return -errno;
	return 0;
}

static void
pty_close(struct port *p)
{
	int fds[] = {p->arrivals, p->terminal, p->fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	p->arrivals = p->terminal = p->fd = -1;
	p->handles = 0;
	p->connected = false;
}

static int
pty_open(struct port *p)
{
	int result = pty_open_pair(p);

	if (result == 0)
		result = pty_watch(p);
	if (result == 0)
		result = pty_link(p);
	if (result != 0)
		pty_close(p);
	return result;
}

/*
 * What a serial port forgets at its last close and ours, being held, does not: unread bytes, the
 * line's settings, and the exclusive mode of a host that was killed and would lock out the next.
 */
static void
pty_left(struct port *p)
{
	(void)ioctl(p->terminal, TIOCNXCL);
	(void)tcflush(p->terminal, TCIOFLUSH);
	pty_make_raw(p->terminal);
	p->connected = false;
}

static void
pty_count(struct port *p, const char *events, size_t len)
{
	struct inotify_event event;

	for (size_t at = 0; at + sizeof(event) <= len; at += sizeof(event) + event.len) {
		memcpy(&event, events + at, sizeof(event));
		if (event.mask & IN_OPEN) {
			p->handles++;
			p->hosts++;
		}
		if (event.mask & IN_CLOSE && p->handles > 0)
			p->handles--;
	}
}

static void
pty_arrivals(struct port *p)
{
	char events[4096];
	ssize_t len;

	while ((len = read(p->arrivals, events, sizeof(events))) > 0)
		pty_count(p, events, (size_t)len);
	if (p->handles == 0)
		pty_left(p);
	else
		p->connected = true;
}

static int
pty_replug(struct port *p)
{
	pty_close(p);
	return pty_open(p);
}

static void
pty_finish(struct port *p)
{
	char target[sizeof(p->terminal_path)];
	ssize_t len = readlink(p->path, target, sizeof(target));

	if (len == (ssize_t)strlen(p->terminal_path) &&
	    memcmp(target, p->terminal_path, (size_t)len) == 0)
		unlink(p->path);
	pty_close(p);
}

const struct port_kind port_pty = {
	.prefix = "pty:",
	.open = pty_open,
	.finish = pty_finish,
	.replug = pty_replug,
	.arrivals = pty_arrivals,
	.left = pty_left,
};
