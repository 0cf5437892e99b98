/* SPDX-License-Identifier: MIT */
#include "backend/hangup.h"

#include <sys/epoll.h>
#include <unistd.h>

int
hangup_watch(int fd)
{
	struct epoll_event hang_up = {.events = EPOLLRDHUP}; /* HUP and ERR are always included */
	int watch_fd = epoll_create1(EPOLL_CLOEXEC);

	if (watch_fd >= 0 && epoll_ctl(watch_fd, EPOLL_CTL_ADD, fd, &hang_up) != 0) {
		close(watch_fd);
		return -1;
	}
	return watch_fd;
}
