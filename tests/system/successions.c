/* SPDX-License-Identifier: MIT */
/*
 * Ends a daemon again and again, under those who wait for its device in every way there is, and
 * measures from its end when the next one answers, and when bytes come.
 *
 *   successions DEVICE PARENT kill|restart ROUNDS
 *
 * Fails when anybody gets an error, when one who waits is not served by each daemon, or when more
 * than half of them take longer than SERVED_MS or BYTES_MS; one may be held up by the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/pace.h"
#include "tests/system/waiters.h"

#define SERVED_MS 1000
#define BYTES_MS 3000
#define HELD_UP 10 /* times the promised */
#define ROUNDS_MAX 1000

/* ---- one daemon goes, the next one comes ---- */

static pid_t
child_of(pid_t parent)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "re");
	if (f == NULL || fscanf(f, "%d", &child) != 1)
		waiters_fail(path);
	fclose(f);
	return child;
}

static int
do_kill(pid_t parent, pid_t daemon)
{
	(void)parent;
	return kill(daemon, SIGKILL);
}

static int
do_restart(pid_t parent, pid_t daemon)
{
	(void)daemon;
	return kill(parent, SIGUSR2);
}

static const struct way {
	const char *name;
	int (*end)(pid_t parent, pid_t daemon);
} ways[] = {{"kill", do_kill}, {"restart", do_restart}, {0}};

static const struct way *
way_named(const char *name)
{
	const struct way *way = ways;

	while (way->name != NULL && strcmp(way->name, name) != 0)
		way++;
	return way->name == NULL ? NULL : way;
}

/* Returns when it is gone: it may answer until then, and the next one is to be asked. */
static void
end_daemon(pid_t parent, const struct way *way)
{
	pid_t daemon = child_of(parent);
	struct pollfd over = {.fd = pidfd_open(daemon, 0), .events = POLLIN};

	if (over.fd < 0 || way->end(parent, daemon) != 0)
		waiters_fail("ending the daemon");
	if (poll(&over, 1, WAITERS_PATIENCE_MS * pace()) != 1)
		waiters_fail("the daemon does not go");
	close(over.fd);
}

struct times {
	double served_ms, bytes_ms;
};

static struct times
succeed(int fd, pid_t parent, const struct way *way)
{
	double began_ms = waiters_now_ms();
	struct times t;
	uint8_t bytes[16];
	int bits;

	end_daemon(parent, way);
	if (ioctl(fd, RNDGETENTCNT, &bits) != 0)
		waiters_fail("RNDGETENTCNT");
	t.served_ms = waiters_now_ms() - began_ms;
	if (read(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		waiters_fail("read");
	t.bytes_ms = waiters_now_ms() - began_ms;
	return t;
}

/* ---- the account ---- */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* True: so many of them took so long as is promised. */
static bool
account(const char *what, double *ms, size_t count, double limit_ms)
{
	qsort(ms, count, sizeof(*ms), compare);
	printf("successions: %s after %.0f ms in the middle of %zu, %.0f at best, %.0f at worst\n",
	       what, ms[count / 2], count, ms[0], ms[count - 1]);
	return ms[count / 2] < limit_ms && ms[count - 1] < HELD_UP * limit_ms;
}

static bool
try_all(const char *device, pid_t parent, const struct way *way, size_t rounds)
{
	static double served_ms[ROUNDS_MAX], bytes_ms[ROUNDS_MAX];
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		waiters_fail(device);
	waiters_start(device);
	waiters_await_all();
	for (size_t i = 0; i < rounds; i++) {
		struct times t = succeed(fd, parent, way);

		served_ms[i] = t.served_ms;
		bytes_ms[i] = t.bytes_ms;
		waiters_await_all();
	}
	good = account("served again", served_ms, rounds, SERVED_MS * pace());
	return account("bytes again", bytes_ms, rounds, BYTES_MS * pace()) && good;
}

int
main(int argc, char **argv)
{
	const struct way *way = argc == 5 ? way_named(argv[3]) : NULL;
	size_t rounds = way != NULL ? strtoul(argv[4], NULL, 10) : 0;

	if (rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: successions DEVICE PARENT kill|restart ROUNDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	return !try_all(argv[1], (pid_t)atoi(argv[2]), way, rounds);
}
