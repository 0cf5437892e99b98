/* SPDX-License-Identifier: MIT */
/*
 * The first program of a guest of tests/rig/rng_guest.py, and the only one: writes what it draws
 * from /dev/hwrng to a port of virtio, for ever. While the guest has no such device it waits for
 * one; any other error is told on the console, and ends the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/rig/early.h"

#define PIECE 64 /* as much as the driver asks for at once */
#define PORT "/dev/vport0p1"
#define PORT_WAIT_MS 10000

static void
wait_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static int
open_port(void)
{
	int fd = -1;

	for (int ms = 0; ms < PORT_WAIT_MS && fd < 0; ms++) {
		fd = open(PORT, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			wait_ms(1);
	}
	return fd;
}

/* Bytes read; 0 while there is none to read from. */
static size_t
draw(int fd, uint8_t *ret_bytes)
{
	ssize_t n = read(fd, ret_bytes, PIECE);

	if (n < 0 && errno != ENODEV)
		early_give_up("read");
	return n < 0 ? 0 : (size_t)n;
}

static void
hand_over(int fd, const uint8_t *bytes, size_t len)
{
	for (ssize_t n; len > 0; bytes += n, len -= (size_t)n) {
		n = write(fd, bytes, len);
		if (n < 0)
			early_give_up(PORT);
	}
}

int
main(void)
{
	uint8_t bytes[PIECE];
	int from, to;

	setvbuf(stdout, NULL, _IOLBF, 0);
	early_mount("devtmpfs", "dev", "/dev");
	early_load_modules();
	from = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
	if (from < 0)
		early_give_up("/dev/hwrng");
	if ((to = open_port()) < 0)
		early_give_up(PORT);
	for (;;) {
		size_t len = draw(from, bytes);

		if (len == 0)
			wait_ms(20);
		hand_over(to, bytes, len);
	}
}
