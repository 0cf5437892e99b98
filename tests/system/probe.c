/* SPDX-License-Identifier: MIT */
/*
 * Holds a device to its promises: one line "ok NAME" or "not ok NAME: got, wanted" for each.
 *
 *   probe [-f] DEVICE SOURCE-PID     -f: the carrier is FUSE
 *   probe -l                         lists the names
 */
#include "tests/system/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/pace.h"

#define LIMIT_MS 20000 /* for one promise */
#define DRY_MS 200     /* nothing came for so long: what was on its way has arrived */

double
probe_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

const char *
complain(const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

const char *
complain_call(const char *call, ssize_t n, const char *wanted)
{
	return complain("%s gave %zd (%s), wanted %s", call, n,
			n < 0 ? strerrorname_np(errno) : "no error", wanted);
}

int
probe_open(const struct probe *p, int flags)
{
	int fd = open(p->device, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0) {
		printf("not ok open: %s: %s\n", p->device, strerror(errno));
		exit(2);
	}
	return fd;
}

static void
short_sleep(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Stops the source and reads until nothing has come for DRY_MS. */
static void
run_dry(const struct probe *p)
{
	static char waste[65536];
	int fd = probe_open(p, O_NONBLOCK);
	double last = probe_now_ms();

	kill(p->source, SIGSTOP);
	while (probe_now_ms() - last < DRY_MS) {
		if (read(fd, waste, sizeof(waste)) > 0)
			last = probe_now_ms();
		else
			short_sleep();
	}
	close(fd);
}

/* In a child, so that a promise which hangs costs itself only. */
static void
try_one(const struct probe *p, const struct promise *promise)
{
	const char *complaint;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (promise->dry)
		run_dry(p);
	complaint = promise->try(p);
	if (complaint)
		printf("not ok %s: %s\n", promise->name, complaint);
	else
		printf("ok %s\n", promise->name);
	exit(complaint != NULL);
}

/* True when kept. The source flows again afterwards. */
static bool
hold_to(const struct probe *p, const struct promise *promise)
{
	double started = probe_now_ms();
	int limit_ms = LIMIT_MS * pace();
	pid_t child = fork(), ended;
	int status = 0;

	if (child == 0)
		try_one(p, promise);
	while ((ended = waitpid(child, &status, WNOHANG)) == 0 &&
	       probe_now_ms() - started < limit_ms)
		short_sleep();
	if (ended == 0) {
		printf("not ok %s: still at it after %d ms\n", promise->name, limit_ms);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	} else if (WIFSIGNALED(status)) {
		printf("not ok %s: ended by signal %d\n", promise->name, WTERMSIG(status));
	}
	kill(p->source, SIGCONT);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned
hold_to_all(const struct probe *p, const struct promise *table)
{
	unsigned broken = 0;

	for (; table->name; table++)
		broken += !hold_to(p, table);
	return broken;
}

static void
list(const struct promise *table)
{
	for (; table->name; table++)
		puts(table->name);
}

int
main(int argc, char **argv)
{
	struct probe p = {.fuse = argc > 1 && !strcmp(argv[1], "-f")};
	char **rest = argv + 1 + p.fuse;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "-l")) {
		list(read_promises);
		list(wait_promises);
		return 0;
	}
	if (argc != 3 + p.fuse || atoi(rest[1]) <= 1) {
		fprintf(stderr, "usage: probe [-f] DEVICE SOURCE-PID | probe -l\n");
		return 2;
	}
	p.device = rest[0];
	p.source = atoi(rest[1]);
	return hold_to_all(&p, read_promises) + hold_to_all(&p, wait_promises) > 0;
}
