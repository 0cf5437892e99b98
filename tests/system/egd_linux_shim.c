/* SPDX-License-Identifier: MIT */
/*
 * For Debian's ekeyd-egd-linux, by LD_PRELOAD: a kernel that has always room for more entropy, as
 * before Linux 5.18. What it is given goes to the file $EGD_LINUX_FED: each RNDADDENTROPY's struct
 * rand_pool_info and its bytes, as they were handed over. The true kernel sees none of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By another name here: to gcc poll() is a function that does not read what it is given. */
int egd_linux_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("poll");

/* Whoever waits until it can write waits for /dev/random: it can. The others are looked at, too. */
int
egd_linux_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec limit = {.tv_sec = timeout_ms / 1000,
				 .tv_nsec = timeout_ms % 1000 * 1000000L};
	nfds_t writable = 0;
	int ready;

	for (nfds_t i = 0; i < count; i++)
		writable += (fds[i].events & POLLOUT) != 0;
	if (writable > 0)
		limit = (struct timespec){0};
	ready = ppoll(fds, count, writable > 0 || timeout_ms >= 0 ? &limit : NULL, NULL);
	for (nfds_t i = 0; i < count && ready >= 0; i++) {
		if ((fds[i].events & POLLOUT) == 0)
			continue;
		ready += fds[i].revents == 0;
		fds[i].revents |= POLLOUT;
	}
	return ready;
}

static int
keep(const struct rand_pool_info *info)
{
	const char *path = getenv("EGD_LINUX_FED");
	size_t len = sizeof(*info) + (size_t)info->buf_size;
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || write(fd, info, len) != (ssize_t)len) {
		errno = EIO;
		return -1;
	}
	return close(fd);
}

int
ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (request == RNDADDENTROPY)
		return keep(arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
