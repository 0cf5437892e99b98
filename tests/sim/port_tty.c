/* SPDX-License-Identifier: MIT */
/*
 * A terminal that is there already, such as the device's side of a USB gadget (/dev/ttyGS0). There
 * is no telling when a host comes or goes: the key talks, and what nobody reads waits in the line.
 */
#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "tests/sim/port.h"

static int
tty_open(struct port *p)
{
	struct termios t;

	p->fd = open(p->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0 || tcgetattr(p->fd, &t) != 0)
		return -errno;
	cfmakeraw(&t);
	if (tcsetattr(p->fd, TCSANOW, &t) != 0)
		return -errno;
	p->connected = true;
	p->hosts++;
	return 0;
}

static void
tty_finish(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->connected = false;
}

static int
tty_replug(struct port *p)
{
	tty_finish(p);
	return tty_open(p);
}

/* Hung up, as when a gadget is unbound; open again it waits for the next host. */
static void
tty_left(struct port *p)
{
	if (tty_replug(p) != 0)
		tty_finish(p);
}

/* Nothing tells. */
static void
tty_arrivals(struct port *p)
{
	(void)p;
}

const struct port_kind port_tty = {
	.prefix = "tty:",
	.open = tty_open,
	.finish = tty_finish,
	.replug = tty_replug,
	.arrivals = tty_arrivals,
	.left = tty_left,
};
