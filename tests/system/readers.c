/* SPDX-License-Identifier: MIT */
/*
 * Reads what a simulated key with a seed feeds, and holds what comes against its stream.
 *
 *   readers one DEVICE SEED BYTES         one reader: the stream from its start, in order
 *   readers many OUTLETS SEED BYTES COUNT [SPARE]
 *                                         COUNT readers at once, of all kinds and random sizes
 *   readers recorded SEED SPARE FILE...   what others have read, in pieces, into these files
 *
 * OUTLETS, with commas between them, are the paths of devices, unix:PATH and tcp:PORT of EGD
 * servers; their readers are interrupted and killed. No byte is delivered twice, by whichever
 * outlet or to whichever file. What one who was killed had been granted is lost, and SPARE bytes
 * (8 MiB) may be anywhere else. SIGTERM ends the reading before its time. With $CALM nobody is
 * interrupted or killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/egd_reader.h"
#include "tests/system/record.h"

#define READERS_MAX 256
#define OUTLETS_MAX 16
#define LIMIT_S 240 /* for all of it, or $LIMIT_S; SIGALRM ends us then */
#define SPARE (8 << 20)

/* Devices have an fd that is opened once, and read by every third of their readers. */
struct outlet {
	const char *name;
	int shared_fd;
};

struct crowd {
	struct outlet outlets[OUTLETS_MAX];
	unsigned outlet_count, count, killed;
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

/* Runs in a child until its quota is read. It may die at any instruction. */
static void
read_quota(struct record *r, int fd)
{
	while (!record_is_full(r)) {
		size_t size = 1 + (size_t)random() % RECORD_PIECE_MAX;
		ssize_t n = read(fd, record_room(r), size);

		if (n > 0)
			record_keep(r, (size_t)n);
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
run_reader(struct record *r, const struct outlet *outlet, enum kind kind)
{
	if (egd_reader_knows(outlet->name))
		egd_reader_run(r, outlet->name);
	else if (kind == SHARED)
		read_quota(r, outlet->shared_fd);
	else
		read_quota(r, open_device(outlet->name, kind == POLLING ? O_NONBLOCK : 0));
}

static void
start_reader(struct crowd *c, unsigned i)
{
	const struct outlet *outlet = &c->outlets[i % c->outlet_count];
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		if (getppid() != parent)
			_exit(2);
		srandom((unsigned)getpid());
		run_reader(c->record[i], outlet, i / c->outlet_count % KINDS);
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

static void
open_outlets(struct crowd *c, char *names)
{
	for (char *name; (name = strsep(&names, ",")) != NULL && c->outlet_count < OUTLETS_MAX;)
		c->outlets[c->outlet_count++] = (struct outlet){
			.name = name,
			.shared_fd = egd_reader_knows(name) ? -1 : open_device(name, 0),
		};
}

/* Before the children the signal's handler, which they inherit: without it, it would end them. */
static void
read_all(struct crowd *c, size_t total)
{
	double started = now_ms();

	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_end, .sa_flags = SA_RESTART}, NULL);
	for (unsigned i = 0; i < c->count; i++)
		if ((c->record[i] = record_new(total / c->count)) == NULL)
			fail("memory");
	for (unsigned i = 0; i < c->count; i++)
		start_reader(c, i);
	disturb(c);
	end_readers(c);
	for (unsigned i = 0; i < c->outlet_count; i++)
		if (c->outlets[i].shared_fd >= 0)
			close(c->outlets[i].shared_fd);
	printf("readers: %u readers, %u killed (slowest death %.1f ms), %.1f s\n", c->count,
	       c->killed, c->slowest_death_ms, (now_ms() - started) / 1e3);
}

/* Bytes of the stream, from its start, among which all must be that was read. */
static size_t
used_up(const struct crowd *c, size_t spare)
{
	size_t len = spare + (size_t)c->killed * RECORD_LOST_MAX;

	for (unsigned i = 0; i < c->count; i++)
		len += c->record[i]->used + (size_t)c->record[i]->left * RECORD_LOST_MAX;
	return len;
}

/* The exit status: whether each byte is of the stream, and none came twice. */
static int
tell(const struct stream *s)
{
	printf("readers: %ju bytes twice, %ju foreign, %ju in pieces too short to find, %s\n",
	       (uintmax_t)s->duplicate, (uintmax_t)s->foreign, (uintmax_t)s->loose,
	       stream_loose_fit(s) ? "which fit" : "which do not fit");
	return s->duplicate || s->foreign || !stream_loose_fit(s);
}

static int
many(char *outlets, const char *seed, size_t total, unsigned count, size_t spare)
{
	static struct crowd c;
	static struct stream s;
	uint64_t reads = 0, interrupted = 0;

	c = (struct crowd){.count = count};
	open_outlets(&c, outlets);
	read_all(&c, total);
	stream_init(&s, seed, used_up(&c, spare));
	for (unsigned i = 0; i < count; i++) {
		reads += record_account(c.record[i], &s);
		interrupted += c.record[i]->interrupted;
	}
	printf("readers: %ju reads, %ju interrupted, %ju blocks of 16 bytes\n", (uintmax_t)reads,
	       (uintmax_t)interrupted, (uintmax_t)(s.located / 16));
	return tell(&s);
}

static uint8_t *
load(const char *path, size_t *ret_len)
{
	int fd = open_device(path, 0);
	size_t len = (size_t)lseek(fd, 0, SEEK_END);
	uint8_t *bytes = malloc(len + 1);

	if (!bytes || pread(fd, bytes, len, 0) != (ssize_t)len)
		fail(path);
	close(fd);
	*ret_len = len;
	return bytes;
}

static int
recorded(const char *seed, size_t spare, char **paths)
{
	static struct stream s;
	static uint8_t *bytes[READERS_MAX];
	size_t len[READERS_MAX], total = 0;
	unsigned count = 0;

	for (; paths[count] && count < READERS_MAX; count++) {
		bytes[count] = load(paths[count], &len[count]);
		total += len[count];
	}
	stream_init(&s, seed, total + spare);
	for (unsigned i = 0; i < count; i++)
		stream_account(&s, bytes[i], len[i]);
	printf("readers: %zu bytes in %u files\n", total, count);
	return tell(&s);
}

static int
one(const char *device, const char *seed, size_t total)
{
	static uint8_t buffer[RECORD_PIECE_MAX];
	static struct stream s;
	int fd = open_device(device, 0);
	ssize_t n;

	stream_init(&s, seed, total + RECORD_PIECE_MAX);
	for (size_t done = 0; done < total; done += (size_t)n) {
		n = read(fd, buffer, 1 + (size_t)random() % RECORD_PIECE_MAX);
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
	if (argc >= 5 && !strcmp(argv[1], "recorded"))
		return recorded(argv[2], strtoul(argv[3], NULL, 10), argv + 4);
	fprintf(stderr, "usage: readers one DEVICE SEED BYTES\n"
			"       readers many OUTLETS SEED BYTES COUNT [SPARE]\n"
			"       readers recorded SEED SPARE FILE...\n");
	return 2;
}
