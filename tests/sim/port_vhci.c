/* SPDX-License-Identifier: MIT */
/*
 * A port of the kernel's virtual USB host controller (vhci_hcd). We give it one end of a socket
 * pair and answer on the other what it asks of the device; closing it is pulling the plug.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/num.h"
#include "tests/sim/port.h"
#include "tests/sim/usb_transfers.h"

#define CONTROLLER "/sys/devices/platform/vhci_hcd.0"
#define ATTACH CONTROLLER "/attach"
#define DEVICE_OF_PORT CONTROLLER "/usb*/*-%u" /* from 1 */
#define PORT_MAX 255
#define DEVICE_ID 0x10000 /* | port: bus 1, device port, of which nobody makes use */
#define FULL_SPEED 2

/* The kernel still takes leave of the device that was here, and says that its port is in use. */
#define BUSY_RETRY_MS 10

struct vhci {
	unsigned port;
	const struct port_usb *usb;
	struct usb_device device;
	struct usb_transfers transfers;
	uint64_t left; /* bytes to send before it is unplugged; UINT64_MAX: no end */
	int socket;
	int timer; /* until it is plugged in again */
};

/* ---- the plug ---- */

/*
 * The port is free before its hub has seen that the device went, and would then never see it, nor
 * that another one came.
 */
static bool
is_still_seen(unsigned port)
{
	char pattern[sizeof(DEVICE_OF_PORT) + 8];
	glob_t found = {0};
	bool seen;

	snprintf(pattern, sizeof(pattern), DEVICE_OF_PORT, port + 1);
	seen = glob(pattern, GLOB_NOSORT, NULL, &found) == 0;
	globfree(&found);
	return seen;
}

/* 0 or -errno; -EBUSY: the port is not free yet. */
static int
attach(unsigned port, int host)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%u %d %u %u\n", port, host, DEVICE_ID | port,
			   (unsigned)FULL_SPEED);
	int fd = open(ATTACH, O_WRONLY | O_CLOEXEC), result = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, line, (size_t)len) != len)
		result = -errno;
	close(fd);
	return result;
}

/* Bytes until the plug is pulled: as ordered, and a part of the jitter. */
static void
draw_life(struct vhci *v)
{
	const struct port_usb *usb = v->usb;
	uint64_t after = usb->faults->setting[FAULT_USB_UNPLUG];

	v->left = UINT64_MAX;
	if (after == 0 ||
	    (usb->unplugs_max != 0 && usb->faults->done[FAULT_USB_UNPLUG] >= usb->unplugs_max))
		return;
	v->left = after;
	if (usb->unplug_jitter > 0)
		v->left += faults_draw(usb->faults, usb->unplug_jitter);
}

static int
plug_in(struct port *p)
{
	struct vhci *v = p->vhci;
	int pair[2], result;

	if (is_still_seen(v->port))
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	result = attach(v->port, pair[1]);
	close(pair[1]);
	if (result < 0) {
		close(pair[0]);
		return result;
	}
	p->arrivals = v->socket = pair[0];
	usb_device_replug(&v->device);
	draw_life(v);
	return 0;
}

static void
pull_out(struct port *p)
{
	struct vhci *v = p->vhci;

	if (v->socket >= 0)
		close(v->socket);
	v->socket = p->arrivals = -1;
	p->connected = false;
	usb_transfers_drop(&v->transfers);
}

static int
plug_in_after(struct port *p, uint64_t ms)
{
	struct vhci *v = p->vhci;
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(ms / 1000),
					    .tv_nsec = (long)(ms % 1000) * 1000000 + 1}};

	if (timerfd_settime(v->timer, 0, &t, NULL) != 0)
		return -errno;
	p->arrivals = v->timer;
	return 0;
}

/* Now, or as soon as the port is free. */
static int
plug_in_soon(struct port *p)
{
	int result = plug_in(p);

	return result == -EBUSY ? plug_in_after(p, BUSY_RETRY_MS) : result;
}

/* Pulled out by order, or by the host: plugged in again after a while, or not at all. */
static void
unplugged(struct port *p)
{
	pull_out(p);
	p->power_cycles++;
	if (p->usb->replug)
		(void)plug_in_after(p, p->usb->replug_ms);
}

/* ---- messages ---- */

/* The kernel writes whole messages and always reads: neither direction keeps us waiting. */
static bool
receive(struct vhci *v, void *ret, size_t len)
{
	return len == 0 || recv(v->socket, ret, len, MSG_WAITALL) == (ssize_t)len;
}

/* A failure is seen at the next receive(). */
static void
transmit(void *arg, const void *bytes, size_t len)
{
	const struct vhci *v = arg;
	const uint8_t *at = bytes;

	while (len > 0) {
		ssize_t n = send(v->socket, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static bool
receive_submit(struct vhci *v, const struct usbip_command *c)
{
	struct urb *u = urb_new(c->sequence, c->len);

	if (u == NULL)
		return false;
	if (!receive(v, u->data, usbip_payload_len(c))) {
		urb_free(u);
		return false;
	}
	usb_transfers_submit(&v->transfers, c, u);
	return true;
}

/* One message. False: the host has let the device go, or speaks something else. */
static bool
serve(struct vhci *v)
{
	uint8_t header[USBIP_HEADER_LEN];
	struct usbip_command c;

	if (!receive(v, header, sizeof(header)) || !usbip_parse(header, &c))
		return false;
	if (c.kind == USBIP_SUBMIT)
		return receive_submit(v, &c);
	usb_transfers_unlink(&v->transfers, &c);
	return true;
}

/* ---- bulk data ---- */

static bool
vhci_may_read(const struct port *p)
{
	return p->connected && usb_transfers_may_take(&p->vhci->transfers);
}

static bool
vhci_may_write(const struct port *p)
{
	return p->connected && usb_transfers_may_give(&p->vhci->transfers);
}

static ssize_t
vhci_read(struct port *p, uint8_t *ret, size_t cap)
{
	return (ssize_t)usb_transfers_take(&p->vhci->transfers, ret, cap);
}

/* No packet goes beyond the byte after which the plug is pulled. */
static ssize_t
vhci_write(struct port *p, const uint8_t *bytes, size_t len)
{
	struct vhci *v = p->vhci;
	size_t given =
		usb_transfers_give(&v->transfers, bytes, len < v->left ? len : (size_t)v->left);

	if (v->left == UINT64_MAX)
		return (ssize_t)given;
	v->left -= given;
	if (v->left == 0) {
		v->usb->faults->done[FAULT_USB_UNPLUG]++;
		usb_transfers_flush(&v->transfers);
		unplugged(p);
	}
	return (ssize_t)given;
}

/* ---- life ---- */

/* The timer's end: plug it in. Else the host has something to say. */
static void
vhci_arrivals(struct port *p)
{
	struct vhci *v = p->vhci;
	uint64_t expired;
	bool ready;

	if (p->arrivals == v->socket) {
		if (!serve(v))
			return unplugged(p);
		ready = usb_device_talks(&v->device);
		p->hosts += ready && !p->connected;
		p->connected = ready;
		return;
	}
	if (read(v->timer, &expired, sizeof(expired)) == sizeof(expired)) {
		p->arrivals = -1;
		(void)plug_in_soon(p);
	}
}

static void
vhci_finish(struct port *p)
{
	if (p->vhci == NULL)
		return;
	pull_out(p);
	close(p->vhci->timer);
	free(p->vhci);
	p->vhci = NULL;
}

static int
vhci_open(struct port *p)
{
	uint64_t number;
	int result;

	if (p->usb == NULL || !num_parse(p->path, PORT_MAX, &number))
		return -EINVAL;
	p->vhci = calloc(1, sizeof(*p->vhci));
	if (p->vhci == NULL)
		return -ENOMEM;
	*p->vhci = (struct vhci){.port = (unsigned)number, .usb = p->usb, .socket = -1};
	usb_device_init(&p->vhci->device, p->usb->faults, p->usb->serial, p->usb->strict);
	usb_transfers_init(&p->vhci->transfers, &p->vhci->device, transmit, p->vhci);
	p->vhci->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	result = p->vhci->timer < 0 ? -errno : plug_in_soon(p);
	if (result < 0)
		vhci_finish(p);
	return result;
}

static int
vhci_replug(struct port *p)
{
	pull_out(p);
	return plug_in_soon(p);
}

static int
vhci_change_plug(struct port *p)
{
	if (p->vhci->socket < 0)
		return plug_in_soon(p);
	pull_out(p);
	p->power_cycles++;
	return 0;
}

static const struct usb_counters *
vhci_counters(const struct port *p)
{
	return &p->vhci->device.counters;
}

const struct port_kind port_vhci = {
	.prefix = "vhci:",
	.open = vhci_open,
	.finish = vhci_finish,
	.replug = vhci_replug,
	.arrivals = vhci_arrivals,
	.left = pull_out,
	.read = vhci_read,
	.write = vhci_write,
	.may_read = vhci_may_read,
	.may_write = vhci_may_write,
	.change_plug = vhci_change_plug,
	.usb_counters = vhci_counters,
};
