/* SPDX-License-Identifier: MIT */
/*
 * Reads the device of a simulated key with a seed, and holds what comes against its stream.
 *
 *   readers one DEVICE SEED BYTES         one reader: the stream from its start, in order
 *   readers many DEVICE SEED BYTES COUNT [SPARE]
 *                                         COUNT readers at once, of all kinds and random sizes,
 * that are interrupted and killed: no byte is delivered twice. What a killed reader had been
 * granted is lost: the stream is used up faster than it is read, by half and SPARE bytes (8 MiB).
 * SIGTERM ends the reading before its time. With $CALM they are neither interrupted nor killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/stream.h"

#define READ_MAX 4096
#define READERS_MAX 256
#define LIMIT_S 240 /* for all of it, or $LIMIT_S; SIGALRM ends us then */
#define SPARE (8 << 20)

/* What one reader got, in memory that outlives it: a length, then that many bytes, and so on. */
struct record {
	atomic_size_t used;
	atomic_uint interrupted;
	size_t quota;
	uint8_t bytes[];
};

struct crowd {
	const char *device;
	int shared_fd; /* opened once, read by every fourth reader */
	unsigned count, killed;
	double slowest_death_ms;
	struct record *record[READERS_MAX];
	pid_t pid[READERS_MAX];
};

enum kind { OWN, POLLING, SHARED, KINDS };

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
fail(const char *what)
{
	fprintf(stderr, "readers: %s: %s\n", what, strerror(errno));
	exit(2);
}

static volatile sig_atomic_t ended;

static void
on_end(int number)
{
	(void)number;
	ended = 1;
}

static void
on_signal(int number)
{
	(void)number;
}

static void
keep(struct record *r, size_t used, uint32_t len)
{
	memcpy(r->bytes + used, &len, sizeof(len));
	atomic_store(&r->used, used + sizeof(len) + len);
}

/* Runs in a child until its quota is read. It may die at any instruction. */
static void
read_quota(struct record *r, int fd)
{
	for (size_t used; (used = atomic_load(&r->used)) < r->quota;) {
		size_t size = 1 + (size_t)random() % READ_MAX;
		ssize_t n = read(fd, r->bytes + used + sizeof(uint32_t), size);

		if (n > 0)
			keep(r, used, (uint32_t)n);
		else if (n < 0 && errno == EINTR)
			atomic_fetch_add(&r->interrupted, 1);
		else if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
		else
			fail(n == 0 ? "end of file" : "read");
	}
}

static int
open_device(const char *device, int flags)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0)
		fail(device);
	return fd;
}

static void
start_reader(struct crowd *c, unsigned i)
{
	enum kind kind = i % KINDS;
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		if (getppid() != parent)
			_exit(2);
		srandom((unsigned)getpid());
		read_quota(c->record[i],
			   kind == SHARED
				   ? c->shared_fd
				   : open_device(c->device, kind == POLLING ? O_NONBLOCK : 0));
		_exit(0);
	}
	c->pid[i] = pid;
}

static void
kill_reader(struct crowd *c, unsigned i)
{
	double killed = now_ms(), took;
	int status;

	if (kill(c->pid[i], SIGKILL) != 0 || waitpid(c->pid[i], &status, 0) != c->pid[i])
		fail("kill");
	took = now_ms() - killed;
	if (took > c->slowest_death_ms)
		c->slowest_death_ms = took;
	c->killed++;
	start_reader(c, i);
}

/* Counts those that still read; ends us when one failed. */
static unsigned
reap(struct crowd *c)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < c->count; i++) {
		int status = 0;

		if (c->pid[i] && waitpid(c->pid[i], &status, WNOHANG) == c->pid[i]) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				exit(2);
			c->pid[i] = 0;
		}
		alive += c->pid[i] != 0;
	}
	return alive;
}

static void
end_readers(struct crowd *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->pid[i] && (kill(c->pid[i], SIGKILL) != 0 || waitpid(c->pid[i], NULL, 0) < 0))
			fail("kill");
}

static void
disturb(struct crowd *c)
{
	bool calm = getenv("CALM") != NULL;

	while (reap(c) > 0 && !ended) {
		unsigned i = (unsigned)random() % c->count;

		if (c->pid[i] && !calm && random() % 4 == 0)
			kill_reader(c, i);
		else if (c->pid[i] && !calm)
			kill(c->pid[i], SIGUSR1);
		nanosleep(&(struct timespec){.tv_nsec = calm ? 50000000 : 500000}, NULL);
	}
}

static struct record *
new_record(size_t quota)
{
	size_t len = sizeof(struct record) + quota * 5 + 2 * READ_MAX;
	struct record *r =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED)
		fail("mmap");
	r->quota = quota;
	return r;
}

static uint64_t
account(struct stream *s, const struct record *r)
{
	uint64_t reads = 0;
	uint32_t len;

	for (size_t at = 0; at < r->used; at += sizeof(len) + len, reads++) {
		memcpy(&len, r->bytes + at, sizeof(len));
		stream_account(s, r->bytes + at + sizeof(len), len);
	}
	return reads;
}

static int
many(const char *device, const char *seed, size_t total, unsigned count, size_t spare)
{
	static struct crowd c;
	static struct stream s;
	uint64_t reads = 0, interrupted = 0;
	double started = now_ms();

	c = (struct crowd){.device = device, .count = count};
	c.shared_fd = open_device(device, 0);
	/* Before the children, who inherit it: without it the signal would end them. */
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_end, .sa_flags = SA_RESTART}, NULL);
	for (unsigned i = 0; i < count; i++)
		c.record[i] = new_record(total / count);
	for (unsigned i = 0; i < count; i++)
		start_reader(&c, i);
	disturb(&c);
	end_readers(&c);
	close(c.shared_fd);
	printf("readers: %u readers, %u killed (slowest death %.1f ms), %.1f s\n", count, c.killed,
	       c.slowest_death_ms, (now_ms() - started) / 1e3);
	stream_init(&s, seed, total + total / 2 + spare);
	for (unsigned i = 0; i < count; i++) {
		reads += account(&s, c.record[i]);
		interrupted += c.record[i]->interrupted;
	}
	printf("readers: %ju reads, %ju interrupted, %ju blocks of 16 bytes\n", (uintmax_t)reads,
	       (uintmax_t)interrupted, (uintmax_t)(s.located / 16));
	printf("readers: %ju bytes twice, %ju foreign, %ju in pieces too short to find, %s\n",
	       (uintmax_t)s.duplicate, (uintmax_t)s.foreign, (uintmax_t)s.loose,
	       stream_loose_fit(&s) ? "which fit" : "which do not fit");
	return s.duplicate || s.foreign || !stream_loose_fit(&s);
}

static int
one(const char *device, const char *seed, size_t total)
{
	static uint8_t buffer[READ_MAX];
	static struct stream s;
	int fd = open_device(device, 0);
	ssize_t n;

	stream_init(&s, seed, total + READ_MAX);
	for (size_t done = 0; done < total; done += (size_t)n) {
		n = read(fd, buffer, 1 + (size_t)random() % READ_MAX);
		if (n <= 0)
			fail(n == 0 ? "end of file" : "read");
		if (memcmp(buffer, s.bytes + done, (size_t)n) != 0) {
			printf("readers: not the stream between bytes %zu and %zu\n", done,
			       done + (size_t)n);
			return 1;
		}
	}
	printf("readers: %zu bytes in order\n", total);
	return 0;
}

int
main(int argc, char **argv)
{
	size_t total = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	unsigned count = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
	const char *limit = getenv("LIMIT_S");
	size_t spare = argc > 6 ? strtoul(argv[6], NULL, 10) : SPARE;

	alarm(limit ? (unsigned)strtoul(limit, NULL, 10) : LIMIT_S);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 5 && !strcmp(argv[1], "one"))
		return one(argv[2], argv[3], total);
	if ((argc == 6 || argc == 7) && !strcmp(argv[1], "many") && count >= 1 &&
	    count <= READERS_MAX)
		return many(argv[2], argv[3], total, count, spare);
	fprintf(stderr, "usage: readers one DEVICE SEED BYTES\n"
			"       readers many DEVICE SEED BYTES COUNT [SPARE]\n");
	return 2;
}
