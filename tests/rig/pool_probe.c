/* SPDX-License-Identifier: MIT */
/*
 * Looks at the kernel's random generator while it is not ready (tests/rig/pool.sh).
 *
 *     pool_probe ready                exits 0 when it is
 *     pool_probe level                prints entropy_avail, in bits
 *     pool_probe exact                each act of lib/priv/random.h gives what it says, and no more
 *     pool_probe during BITS COMMAND  COMMAND is well, and meanwhile it rises by BITS
 *
 * A kernel credits itself some bits for its interrupts, up to three a second: nobody sees that in
 * the microseconds of `exact`, and `during` allows for it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/priv/random.h"

#define OWN_BITS 3 /* that a kernel may credit itself in a second */

static int
level(int fd)
{
	int bits = priv_random_level(fd);

	if (bits >= 0)
		return bits;
	printf("entropy_avail: %s\n", strerror(-bits));
	exit(2);
}

/* ---- exact ---- */

static int
nothing(int fd, const uint8_t *bytes)
{
	(void)fd, (void)bytes;
	return 0;
}

static int
write_without_credit(int fd, const uint8_t *bytes)
{
	return priv_random_mix(fd, bytes, 32);
}

static int
credit_none(int fd, const uint8_t *bytes)
{
	return priv_random_credit(fd, bytes, 32, 0);
}

static int
credit_8(int fd, const uint8_t *bytes)
{
	return priv_random_credit(fd, bytes, 32, 8);
}

static int
credit_16(int fd, const uint8_t *bytes)
{
	return priv_random_credit(fd, bytes, 2, 16);
}

static int
credit_too_much(int fd, const uint8_t *bytes)
{
	return priv_random_credit(fd, bytes, 2, 17) == -EINVAL ? 0 : -EBADMSG;
}

static int
reseed_too_early(int fd, const uint8_t *bytes)
{
	(void)bytes;
	return priv_random_reseed(fd) == -ENODATA ? 0 : -EBADMSG;
}

static int
exact(int fd)
{
	static const struct {
		const char *name;
		int (*act)(int fd, const uint8_t *bytes);
		int bits;
	} acts[] = {
		{"nothing", nothing, 0},
		{"a write", write_without_credit, 0},
		{"a credit of 0", credit_none, 0},
		{"a credit of 8", credit_8, 8},
		{"a credit of 16 for 2 bytes", credit_16, 16},
		{"a credit of 17 for 2 bytes", credit_too_much, 0},
		{"a reseed", reseed_too_early, 0},
	};
	const uint8_t bytes[32] = "no secret, and it need not be";
	int bad = 0;

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int before = level(fd), result = acts[i].act(fd, bytes), rise = level(fd) - before;

		printf("%s: %s, %+d bits\n", acts[i].name, result == 0 ? "done" : strerror(-result),
		       rise);
		bad |= result != 0 || rise != acts[i].bits;
	}
	return bad;
}

/* ---- during ---- */

static int
run(char **command)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return status;
}

static int
during(int fd, int bits, char **command)
{
	int before = level(fd), status, rise;
	time_t began = time(NULL);

	status = run(command);
	rise = level(fd) - before;
	printf("%s ended with %d: %+d bits, wanted %+d\n", command[0], WEXITSTATUS(status), rise,
	       bits);
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0 || rise < bits ||
	       rise > bits + OWN_BITS * (1 + (int)(time(NULL) - began));
}

int
main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	int fd = priv_open_random();

	if (fd < 0) {
		printf("/dev/random: %s\n", strerror(-fd));
		return 2;
	}
	if (strcmp(word, "ready") == 0)
		return !priv_random_ready();
	if (strcmp(word, "exact") == 0)
		return exact(fd);
	if (strcmp(word, "during") == 0 && argc > 3)
		return during(fd, atoi(argv[2]), argv + 3);
	if (strcmp(word, "level") != 0)
		return 2;
	printf("%d\n", level(fd));
	return 0;
}
