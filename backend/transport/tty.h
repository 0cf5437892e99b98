/* SPDX-License-Identifier: MIT */
/* A tty for this process alone: exclusive, raw, and restored at the end. doc/protocol.md 1. */
#ifndef BACKEND_TRANSPORT_TTY_H
#define BACKEND_TRANSPORT_TTY_H

#include <stdbool.h>
#include <termios.h>

/* Or another file, of which only `fd` is used. */
struct tty {
	int fd;
	bool is_tty;
	struct termios before; /* its settings when it was opened */
};

/*
 * Opens and sets up: raw 8N1, 115200, buffered bytes dropped. No modem-control line is touched: the
 * Entropy Key's firmware crashes on the request. 0 with *ret, or -errno; -EBUSY when another
 * process has it.
 */
int tty_open(const char *path, struct tty *ret);

/*
 * The same with any character device, or a FIFO, only to be read. -EMEDIUMTYPE for any other file,
 * -EDEADLK for a device of a CUSE server, which may hang, or be this process.
 */
int tty_open_input(const char *path, struct tty *ret);

/* Restores the settings and closes. A tty that has vanished is no error. */
void tty_close(struct tty *tty);

#endif
