/* SPDX-License-Identifier: MIT */
/* A tty for ourselves alone: exclusive, raw, and as it was before when we leave. doc/protocol.md 1.
 */
#ifndef BACKEND_TTY_H
#define BACKEND_TTY_H

#include <termios.h>

struct tty {
	int fd;
	struct termios before; /* its settings when we came */
};

/*
 * Opens and sets up: raw 8N1, 115200, what it had buffered thrown away. No modem-control line is
 * ever touched: the Entropy Key's firmware crashes on the request. 0 with *ret, or -errno; -EBUSY
 * when another process has it.
 */
int tty_open(const char *path, struct tty *ret);

/* Restores settings and closes. A tty that has vanished is no error. */
void tty_close(struct tty *tty);

#endif
