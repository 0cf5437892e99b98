/* SPDX-License-Identifier: MIT */
/* Promises of a device that has nothing, to those who wait for it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/pace.h"
#include "tests/system/probe.h"

#define WAKE_MS (15000 * pace()) /* a source that was away may have to be connected to again */
#define DEATH_MS (1000 * pace()) /* a killed reader is gone by then; it takes about one */
#define ALARM_MS (200 * pace())  /* the read has begun by then */

static char buffer[4096];

static void
short_sleep(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static char
state_of(pid_t pid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(f);
	}
	return state;
}

/* Until it has slept for a while: it waits for the device then, not for a lock on its way there. */
static void
wait_until_asleep(pid_t pid)
{
	for (int asleep = 0; asleep < 20; short_sleep()) {
		char state = state_of(pid);

		asleep = state == 'S' || state == 'D' ? asleep + 1 : 0;
	}
}

/* A child that lets the source flow once we sleep. */
static void
flow_when_asleep(const struct probe *p)
{
	pid_t waiter = getpid();

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		wait_until_asleep(waiter);
		kill(p->source, SIGCONT);
		_exit(0);
	}
}

static const char *
expect_again(int fd)
{
	for (int i = 0; i < 3; i++) {
		ssize_t n = read(fd, buffer, 16);

		if (n != -1 || errno != EAGAIN)
			return complain_call("read", n, "EAGAIN");
	}
	return NULL;
}

static const char *
nonblocking_open_is_eagain(const struct probe *p)
{
	return expect_again(probe_open(p, O_NONBLOCK));
}

static const char *
nonblocking_fcntl_is_eagain(const struct probe *p)
{
	int fd = probe_open(p, 0);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	return expect_again(fd);
}

static int
wait_poll(int fd, int timeout_ms)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms);
}

static int
wait_select(int fd, int timeout_ms)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL,
		      &(struct timeval){timeout_ms / 1000, timeout_ms % 1000 * 1000});
}

static int
wait_epoll_as(int fd, int timeout_ms, uint32_t events)
{
	int set = epoll_create1(EPOLL_CLOEXEC), n;
	struct epoll_event event = {.events = events};

	n = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	if (n == 0)
		n = epoll_wait(set, &event, 1, timeout_ms);
	close(set);
	return n;
}

static int
wait_epoll(int fd, int timeout_ms)
{
	return wait_epoll_as(fd, timeout_ms, EPOLLIN);
}

static int
wait_epoll_edge(int fd, int timeout_ms)
{
	return wait_epoll_as(fd, timeout_ms, EPOLLIN | EPOLLET);
}

/* Not ready while dry; ready, with bytes to read, once the source flows. */
static const char *
expect_wake(const struct probe *p, int (*wait_for)(int fd, int timeout_ms))
{
	int fd = probe_open(p, O_NONBLOCK), n = wait_for(fd, 100);
	ssize_t got;

	if (n != 0)
		return complain_call("waiting for a dry device", n, "0");
	flow_when_asleep(p);
	n = wait_for(fd, WAKE_MS);
	if (n != 1)
		return complain_call("waiting for a device that flows", n, "1");
	got = read(fd, buffer, 16);
	return got > 0 ? NULL : complain_call("the read after it", got, "bytes");
}

static const char *
poll_wakes(const struct probe *p)
{
	return expect_wake(p, wait_poll);
}

static const char *
select_wakes(const struct probe *p)
{
	return expect_wake(p, wait_select);
}

static const char *
epoll_level_wakes(const struct probe *p)
{
	return expect_wake(p, wait_epoll);
}

static const char *
epoll_edge_wakes(const struct probe *p)
{
	return expect_wake(p, wait_epoll_edge);
}

static const char *
blocked_read_wakes(const struct probe *p)
{
	int fd = probe_open(p, 0);
	ssize_t n;

	flow_when_asleep(p);
	n = read(fd, buffer, 256);
	return n == 256 ? NULL : complain_call("read", n, "256");
}

static void
on_alarm(int number)
{
	(void)number;
}

/* A FUSE reply cannot ask the kernel to restart a call, so SA_RESTART makes no difference. */
static const char *
expect_interrupt(const struct probe *p, int sa_flags)
{
	int fd = probe_open(p, 0);
	double started = probe_now_ms(), took;
	ssize_t n;

	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = sa_flags}, NULL);
	setitimer(ITIMER_REAL,
		  &(struct itimerval){.it_value = {ALARM_MS / 1000, ALARM_MS % 1000 * 1000}}, NULL);
	n = read(fd, buffer, 16);
	took = probe_now_ms() - started;
	if (n != -1 || errno != EINTR)
		return complain_call("interrupted read", n, "EINTR");
	if (took > ALARM_MS + DEATH_MS)
		return complain("EINTR %.0f ms after the signal", took - ALARM_MS);
	kill(p->source, SIGCONT);
	n = read(fd, buffer, 16);
	return n == 16 ? NULL : complain_call("the read after it", n, "16");
}

static const char *
signal_is_eintr(const struct probe *p)
{
	return expect_interrupt(p, 0);
}

static const char *
signal_with_restart_is_eintr(const struct probe *p)
{
	return expect_interrupt(p, SA_RESTART);
}

static pid_t
start_reader(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(read(fd, buffer, 16) == 16 ? 0 : errno == EINTR ? 1 : 2);
	}
	wait_until_asleep(pid);
	return pid;
}

static const char *
expect_death(pid_t pid)
{
	double killed = probe_now_ms();

	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (probe_now_ms() - killed > DEATH_MS)
			return complain("state %c %d ms after SIGKILL", state_of(pid), DEATH_MS);
		short_sleep();
	}
	return NULL;
}

static const char *
killed_reader_is_gone(const struct probe *p)
{
	return expect_death(start_reader(probe_open(p, 0)));
}

/* Several in one open file: the kernel must not make one wait for another's read. */
static const char *
killed_readers_of_one_descriptor_are_gone(const struct probe *p)
{
	int fd = probe_open(p, 0);
	pid_t readers[3];
	const char *complaint = NULL;

	for (int i = 0; i < 3; i++)
		readers[i] = start_reader(fd);
	for (int i = 2; i >= 0 && !complaint; i--)
		complaint = expect_death(readers[i]);
	return complaint;
}

static const char *
stopped_reader_goes_on(const struct probe *p)
{
	pid_t reader = start_reader(probe_open(p, 0));
	int status = -1;

	kill(reader, SIGSTOP);
	if (waitpid(reader, &status, WUNTRACED) != reader || !WIFSTOPPED(status))
		return complain("status %#x, wanted a stopped reader", (unsigned)status);
	kill(reader, SIGCONT);
	kill(p->source, SIGCONT);
	waitpid(reader, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 2)
		return complain("status %#x, wanted bytes or EINTR", (unsigned)status);
	return NULL;
}

static const char *
readers_in_a_queue_are_all_served(const struct probe *p)
{
	pid_t readers[16];
	int status;

	for (int i = 0; i < 16; i++)
		readers[i] = start_reader(probe_open(p, 0));
	kill(p->source, SIGCONT);
	for (int i = 0; i < 16; i++) {
		if (waitpid(readers[i], &status, 0) != readers[i] || status != 0)
			return complain("reader %d: status %#x", i, (unsigned)status);
	}
	return NULL;
}

const struct promise wait_promises[] = {
	{"nonblocking_open_is_eagain", nonblocking_open_is_eagain, true},
	{"nonblocking_fcntl_is_eagain", nonblocking_fcntl_is_eagain, true},
	{"poll_wakes", poll_wakes, true},
	{"select_wakes", select_wakes, true},
	{"epoll_level_wakes", epoll_level_wakes, true},
	{"epoll_edge_wakes", epoll_edge_wakes, true},
	{"blocked_read_wakes", blocked_read_wakes, true},
	{"signal_is_eintr", signal_is_eintr, true},
	{"signal_with_restart_is_eintr", signal_with_restart_is_eintr, true},
	{"killed_reader_is_gone", killed_reader_is_gone, true},
	{"killed_readers_of_one_descriptor_are_gone", killed_readers_of_one_descriptor_are_gone,
	 true},
	{"stopped_reader_goes_on", stopped_reader_goes_on, true},
	{"readers_in_a_queue_are_all_served", readers_in_a_queue_are_all_served, true},
	{0},
};
