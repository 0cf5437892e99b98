/* SPDX-License-Identifier: MIT */
#include "lib/priv/random.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/secret.h"

#define RANDOM_PATH "/dev/random"

/* The device's number (admin-guide/devices.txt): bytes must not be written to another file. */
#define RANDOM_MAJOR 1
#define RANDOM_MINOR 8

/* struct rand_pool_info of the kernel, whose own ends in an array of no size. */
struct random_message {
	int bits, len;
	uint8_t bytes[PRIV_RANDOM_BYTES_MAX];
};

_Static_assert(offsetof(struct random_message, bytes) == sizeof(struct rand_pool_info),
	       "RNDADDENTROPY reads the bytes behind its struct rand_pool_info");

int
priv_open_random(void)
{
	struct stat st;
	int fd = open(RANDOM_PATH, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(RANDOM_MAJOR, RANDOM_MINOR))
		return fd;
	close(fd);
	return -ENODEV;
}

int
priv_random_credit(int fd, const uint8_t *bytes, size_t len, unsigned bits)
{
	struct random_message message = {.bits = (int)bits, .len = (int)len};
	int result;

	if (len == 0 || len > PRIV_RANDOM_BYTES_MAX || bits > PRIV_RANDOM_CREDIT_MAX * len)
		return -EINVAL;
	memcpy(message.bytes, bytes, len);
	result = ioctl(fd, RNDADDENTROPY, &message) == 0 ? 0 : -errno;
	secret_wipe(&message, sizeof(message));
	return result;
}

int
priv_random_reseed(int fd)
{
	return ioctl(fd, RNDRESEEDCRNG) == 0 ? 0 : -errno;
}

int
priv_random_mix(int fd, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (len == 0 || len > PRIV_RANDOM_BYTES_MAX)
		return -EINVAL;
	n = write(fd, bytes, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int
priv_random_level(int fd)
{
	int bits;

	return ioctl(fd, RNDGETENTCNT, &bits) == 0 ? bits : -errno;
}

bool
priv_random_ready(void)
{
	uint8_t byte;
	bool ready = getrandom(&byte, sizeof(byte), GRND_NONBLOCK) == (ssize_t)sizeof(byte);

	secret_wipe(&byte, sizeof(byte));
	return ready;
}
