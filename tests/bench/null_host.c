/* SPDX-License-Identifier: MIT */
/*
 * The least that a host of a key can do: wait for a frame, read it, forget it, RATE times a second.
 * What waking up so often costs on this machine, today, is no merit and no fault of any daemon.
 * `null_host RATE`; a child is the key. Runs until it is ended.
 */
#include <err.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/num.h"

#define FRAME_LEN 64
#define RATE_MAX 100000

static void
be_the_key(int fd, uint64_t rate)
{
	const struct timespec gap = {.tv_nsec = (long)(1000000000 / rate)};
	const char frame[FRAME_LEN] = "*";

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do
		nanosleep(&gap, NULL);
	while (write(fd, frame, sizeof(frame)) == sizeof(frame));
	_exit(1);
}

static void
be_the_host(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char frame[FRAME_LEN];

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll");
	while (epoll_wait(epoll, &event, 1, -1) == 1 && read(fd, frame, sizeof(frame)) > 0)
		;
	errx(1, "the key left");
}

int
main(int argc, char **argv)
{
	uint64_t rate;
	int pair[2];

	if (argc != 2 || !num_parse(argv[1], RATE_MAX, &rate) || rate < 2)
		errx(2, "usage: null_host RATE");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		err(1, "socketpair");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		be_the_key(pair[1], rate);
	}
	close(pair[1]);
	be_the_host(pair[0]);
}
