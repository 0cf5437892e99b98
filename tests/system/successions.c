/* SPDX-License-Identifier: MIT */
/*
 * Ends a daemon again and again while processes wait for its device in every way there is, and
 * measures from its end when the next one answers, and when bytes come.
 *
 *   successions DEVICE COMMAND kill|restart ROUNDS
 *
 * COMMAND prints the pid of the daemon of now, which a service manager starts again. Fails when a
 * process gets an error, when one is not served by each daemon, or when more than half of the
 * rounds take longer than SERVED_MS or BYTES_MS; one may be held up by the machine.
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

/* ---- one daemon ends, the next one serves ---- */

static pid_t
daemon_now(const char *command)
{
	FILE *output = popen(command, "re");
	int pid = 0;

	if (output == NULL || fscanf(output, "%d", &pid) != 1 || pid <= 1)
		waiters_fail(command);
	pclose(output);
	return pid;
}

static const struct way {
	const char *name;
	int signal;
} ways[] = {{"kill", SIGKILL}, {"restart", SIGUSR2}, {0}};

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
end_daemon(pid_t daemon, const struct way *way)
{
	struct pollfd over = {.fd = pidfd_open(daemon, 0), .events = POLLIN};

	if (over.fd < 0 || kill(daemon, way->signal) != 0)
		waiters_fail("ending the daemon");
	if (poll(&over, 1, WAITERS_PATIENCE_MS * pace()) != 1)
		waiters_fail("the daemon does not end");
	close(over.fd);
}

struct times {
	double served_ms, bytes_ms;
};

static struct times
succeed(int fd, const char *command, const struct way *way)
{
	pid_t daemon = daemon_now(command);
	double began_ms = waiters_now_ms();
	struct times t;
	uint8_t bytes[16];
	int bits;

	end_daemon(daemon, way);
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
try_all(const char *device, const char *command, const struct way *way, size_t rounds)
{
	static double served_ms[ROUNDS_MAX], bytes_ms[ROUNDS_MAX];
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		waiters_fail(device);
	waiters_start(device);
	waiters_await_all();
	for (size_t i = 0; i < rounds; i++) {
		struct times t = succeed(fd, command, way);

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
		fprintf(stderr, "usage: successions DEVICE COMMAND kill|restart ROUNDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	return !try_all(argv[1], argv[2], way, rounds);
}
