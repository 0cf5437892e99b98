/* SPDX-License-Identifier: MIT */
/* A Unix stream socket, as ekey-ulusbd serves one: a second connection is closed at once. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net.h"
#include "tests/sim/port.h"

#define SOCKET_MODE 0600

static int
unix_open(struct port *p)
{
	int fd = net_unix_listen(p->path, SOCKET_MODE);

	if (fd < 0)
		return fd;
	p->arrivals = fd;
	return 0;
}

static void
unix_left(struct port *p)
{
	if (p->connected)
		close(p->fd);
	p->fd = -1;
	p->connected = false;
}

static void
unix_arrivals(struct port *p)
{
	int fd = accept4(p->arrivals, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return; /* it went away while it waited */
	if (p->connected) {
		close(fd);
		return;
	}
	p->fd = fd;
	p->connected = true;
	p->hosts++;
}

static int
unix_replug(struct port *p)
{
	unix_left(p);
	return 0;
}

static void
unix_finish(struct port *p)
{
	unix_left(p);
	close(p->arrivals);
	net_unix_unlink(p->path);
}

const struct port_kind port_unix = {
	.prefix = "unix:",
	.open = unix_open,
	.finish = unix_finish,
	.replug = unix_replug,
	.arrivals = unix_arrivals,
	.left = unix_left,
};
