/* SPDX-License-Identifier: MIT */
#include "tests/sim/port.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int
port_open(struct port *p, const char *address, const struct port_usb *usb)
{
	static const struct port_kind *const kinds[] = {&port_pty, &port_tty, &port_unix,
							&port_vhci};

	*p = (struct port){.usb = usb, .arrivals = -1, .fd = -1, .terminal = -1};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t len = strlen(kinds[i]->prefix);

		if (strncmp(address, kinds[i]->prefix, len) != 0 || address[len] == '\0')
			continue;
		p->kind = kinds[i];
		p->path = address + len;
		return p->kind->open(p);
	}
	return -EINVAL;
}

void
port_finish(struct port *p)
{
	p->kind->finish(p);
}

int
port_replug(struct port *p)
{
	return p->kind->replug(p);
}

int
port_change_plug(struct port *p)
{
	return p->kind->change_plug != NULL ? p->kind->change_plug(p) : -EOPNOTSUPP;
}

void
port_pollfds(const struct port *p, bool want_read, bool want_write,
	     struct pollfd ret[static PORT_POLLFDS])
{
	short events = (short)((want_read ? POLLIN : 0) | (want_write ? POLLOUT : 0));

	ret[0] = (struct pollfd){.fd = p->arrivals, .events = POLLIN};
	ret[1] = (struct pollfd){.fd = p->connected ? p->fd : -1, .events = events};
}

void
port_arrivals(struct port *p)
{
	p->kind->arrivals(p);
}

bool
port_may_read(const struct port *p, const struct pollfd fds[static PORT_POLLFDS])
{
	return p->kind->may_read != NULL ? p->kind->may_read(p) : fds[1].revents != 0;
}

bool
port_may_write(const struct port *p, const struct pollfd fds[static PORT_POLLFDS])
{
	return p->kind->may_write != NULL ? p->kind->may_write(p) : fds[1].revents != 0;
}

const struct usb_counters *
port_usb_counters(const struct port *p)
{
	return p->kind->usb_counters != NULL ? p->kind->usb_counters(p) : NULL;
}

/* The meaning of what read() or write() returned. */
static ssize_t
port_moved(struct port *p, ssize_t n)
{
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PORT_LATER;
	p->kind->left(p);
	return PORT_GONE;
}

ssize_t
port_read(struct port *p, uint8_t *ret, size_t cap)
{
	if (p->kind->read != NULL)
		return p->kind->read(p, ret, cap);
	return port_moved(p, read(p->fd, ret, cap));
}

ssize_t
port_write(struct port *p, const uint8_t *bytes, size_t len)
{
	if (p->kind->write != NULL)
		return p->kind->write(p, bytes, len);
	return port_moved(p, write(p->fd, bytes, len));
}
