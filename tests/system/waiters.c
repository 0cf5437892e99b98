/* SPDX-License-Identifier: MIT */
#include "tests/system/waiters.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/pace.h"

double
waiters_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

_Noreturn void
waiters_fail(const char *what)
{
	printf("successions: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void
wait_in_read(int fd)
{
	(void)fd;
}

/* Not the POLLERR, with it or without, of who has lost his device. */
static void
expect_in(const char *what, uint32_t events)
{
	if (events == POLLIN)
		return;
	printf("successions: %s: events %#x, wanted POLLIN\n", what, events);
	_exit(1);
}

static void
wait_in_poll(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, -1) != 1)
		waiters_fail("poll");
	expect_in("poll", (uint32_t)p.revents);
}

static void
wait_in_select(int fd)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	if (select(fd + 1, &set, NULL, NULL, NULL) != 1)
		waiters_fail("select");
}

static void
wait_in_epoll(int fd, uint32_t events)
{
	static int set = -1;
	struct epoll_event event = {.events = events};

	if (set < 0) {
		set = epoll_create1(EPOLL_CLOEXEC);
		if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0)
			waiters_fail("epoll_ctl");
	}
	if (epoll_wait(set, &event, 1, -1) != 1)
		waiters_fail("epoll_wait");
	expect_in("epoll_wait", event.events);
}

static void
wait_for_level(int fd)
{
	wait_in_epoll(fd, EPOLLIN);
}

static void
wait_for_edge(int fd)
{
	wait_in_epoll(fd, EPOLLIN | EPOLLET);
}

static const struct kind {
	const char *name;
	int flags;
	void (*wait)(int fd);
} kinds[] = {
	{"a reader", 0, wait_in_read},
	{"poll", O_NONBLOCK, wait_in_poll},
	{"select", O_NONBLOCK, wait_in_select},
	{"epoll", O_NONBLOCK, wait_for_level},
	{"epoll, edges", O_NONBLOCK, wait_for_edge},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What a daemon told of may have died with it: EAGAIN is no error. Edges: read until there is. */
static void
read_all(const struct kind *k, int fd, atomic_uint *served)
{
	uint8_t bytes[16];

	do {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n < 0 && errno == EAGAIN && (k->flags & O_NONBLOCK) != 0)
			return;
		if (n <= 0 || (k->flags == 0 && n != sizeof(bytes)))
			waiters_fail(k->name);
		atomic_fetch_add(served, 1);
	} while (k->wait == wait_for_edge);
}

static _Noreturn void
run_waiter(const struct kind *k, const char *device, atomic_uint *served)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC | k->flags);

	if (fd < 0)
		waiters_fail(device);
	for (;;) {
		k->wait(fd);
		read_all(k, fd, served);
	}
}

/* ---- all of them ---- */

static atomic_uint *served; /* one for each kind, shared with them */

void
waiters_start(const char *device)
{
	pid_t parent = getpid();

	served = mmap(NULL, sizeof(*served) * KINDS, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (served == MAP_FAILED)
		waiters_fail("memory");
	for (size_t i = 0; i < KINDS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			waiters_fail("fork");
		if (pid > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			run_waiter(&kinds[i], device, &served[i]);
		_exit(1);
	}
}

static void
await_one(size_t kind, unsigned before, double until_ms)
{
	while (atomic_load(&served[kind]) == before) {
		if (waitpid(-1, NULL, WNOHANG) > 0)
			exit(1); /* it has said why */
		errno = ETIMEDOUT;
		if (waiters_now_ms() > until_ms)
			waiters_fail(kinds[kind].name);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

void
waiters_await_all(void)
{
	double until_ms = waiters_now_ms() + WAITERS_PATIENCE_MS * pace();
	unsigned before[KINDS];

	for (size_t i = 0; i < KINDS; i++)
		before[i] = atomic_load(&served[i]);
	for (size_t i = 0; i < KINDS; i++)
		await_one(i, before[i], until_ms);
}
