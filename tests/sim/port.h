/* SPDX-License-Identifier: MIT */
/*
 * Where the simulated key is plugged in: a pseudo-terminal, as its serial port would be, a terminal
 * that is there, a Unix stream socket, as ekey-ulusbd offers, or a virtual USB port of the kernel.
 * One host at a time; hosts may come and go.
 */
#ifndef TESTS_SIM_PORT_H
#define TESTS_SIM_PORT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/sim/usb_device.h"

#define PORT_POLLFDS 2
#define PORT_LATER 0   /* no byte can be moved now */
#define PORT_GONE (-1) /* the host is gone: the port waits for the next */

struct port;

/* How a key behaves on USB, beside its faults. */
struct port_usb {
	struct faults *faults;
	const char *serial;
	bool strict;
	bool replug; /* plugged in again, replug_ms after it was unplugged */
	uint64_t replug_ms;
	uint64_t unplug_jitter; /* up to so many bytes more, drawn, until it is unplugged */
	uint64_t unplugs_max;   /* 0: no end */
};

/* The kinds of port, by what differs. The last six are NULL where bytes move through the fd. */
struct port_kind {
	const char *prefix;          /* of the address, "pty:" */
	int (*open)(struct port *p); /* 0 or -errno */
	void (*finish)(struct port *p);
	int (*replug)(struct port *p); /* 0 or -errno */
	void (*arrivals)(struct port *p);
	void (*left)(struct port *p); /* nobody is connected any more */
	ssize_t (*read)(struct port *p, uint8_t *ret, size_t cap);
	ssize_t (*write)(struct port *p, const uint8_t *bytes, size_t len);
	bool (*may_read)(const struct port *p);
	bool (*may_write)(const struct port *p);
	int (*change_plug)(struct port *p);
	const struct usb_counters *(*usb_counters)(const struct port *p);
};

extern const struct port_kind port_pty, port_tty, port_unix, port_vhci;

struct port {
	const struct port_kind *kind;
	const char *path; /* of the socket, or of the symbolic link to the terminal */
	const struct port_usb *usb;
	struct vhci *vhci;     /* vhci: its own */
	int arrivals;          /* fd that tells of hosts: the listening socket, or inotify */
	int fd;                /* to the host: the connection, or the terminal's master side */
	int terminal;          /* pty: our hold on the host's side */
	unsigned handles;      /* pty: how often the host's side is open, but for us */
	uint64_t hosts;        /* that came so far */
	uint64_t power_cycles; /* vhci: times it was unplugged, other than by port_replug() */
	bool connected;
	char terminal_path[64];
};

/*
 * `address` is pty:PATH, tty:PATH, unix:PATH or vhci:NUMBER; it and `usb` must outlive the port. 0
 * or -errno (-EINVAL: none of them).
 */
#define PORT_ADDRESSES "pty:PATH, tty:PATH, unix:PATH or vhci:NUMBER"
int port_open(struct port *p, const char *address, const struct port_usb *usb);

/* Hangs up and removes PATH, if it is still ours. */
void port_finish(struct port *p);

/* Unplugged and plugged in again: the host sees its port vanish. 0 or -errno. */
int port_replug(struct port *p);

/* Unplugs it, or plugs it in if it is unplugged. 0 or -errno (-EOPNOTSUPP: not on USB). */
int port_change_plug(struct port *p);

/* What to poll for; `want_read` and `want_write` are about the connection. */
void port_pollfds(const struct port *p, bool want_read, bool want_write,
		  struct pollfd ret[static PORT_POLLFDS]);

/* Hosts that came or went: call it when the first of port_pollfds() is ready. */
void port_arrivals(struct port *p);

/* Bytes can move, by what poll() said in the second of them or, on USB, without it. */
bool port_may_read(const struct port *p, const struct pollfd fds[static PORT_POLLFDS]);
bool port_may_write(const struct port *p, const struct pollfd fds[static PORT_POLLFDS]);

/* NULL: it is not on USB. */
const struct usb_counters *port_usb_counters(const struct port *p);

/* Bytes moved, or PORT_LATER or PORT_GONE. Only while p->connected. */
ssize_t port_read(struct port *p, uint8_t *ret, size_t cap);
ssize_t port_write(struct port *p, const uint8_t *bytes, size_t len);

#endif
