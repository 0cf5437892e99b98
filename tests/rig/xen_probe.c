/* SPDX-License-Identifier: MIT */
/*
 * Runs in a guest of Xen (xen_guest.sh): reads from EGD servers, or what the kernel's hwrng gave,
 * and holds it against the stream of a simulated key with a seed.
 *
 *   xen_probe SEED SPAN BYTES xen|SOCKET|FILE...
 *
 * xen: the channel, which is another console with another version of Xen.
 * SPAN: so many bytes of the stream are known; BYTES: to be read of each. Says that it is ready and
 * begins when its input ends; asks for no more after SIGTERM. Says "at MS BYTES" on stderr as it
 * goes, MS on the clock that all guests have from Xen, and at the end "took FROM TO" for each piece
 * that it got, so that those of two guests can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/xen_channel.h"
#include "tests/system/stream.h"

#define ASK 255
/* Bytes asked for that wait for their answers: it is the server that is slow, not the way. */
#define AHEAD ((size_t)8 * ASK)
#define PATIENCE_MS 10000 /* then it is asked again, and that is told */
#define TRIES_MAX 6
#define TELL_EVERY_MS 500

struct source {
	int fd;
	bool gives; /* unasked */
	size_t asked, had;
	unsigned asked_again;
	unsigned long long longest_ms; /* that nothing came */
};

static volatile sig_atomic_t enough;

static void
on_enough(int number)
{
	(void)number;
	enough = 1;
}

static void
fail(const char *what)
{
	printf("xen_probe: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *
channel(void)
{
	static char path[XEN_CHANNEL_PATH_MAX];
	int result = xen_channel_find(XEN_CHANNEL_NAME, path);

	errno = -result;
	if (result != 0)
		fail("channel");
	return path;
}

static unsigned long long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (unsigned long long)t.tv_sec * 1000 + (unsigned long long)t.tv_nsec / 1000000;
}

/* ---- opening ---- */

static int
open_device(const char *path, bool *ret_gives)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	*ret_gives = tcgetattr(fd, &raw) != 0;
	if (*ret_gives)
		return fd;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) != 0 || tcflush(fd, TCIOFLUSH) != 0)
		fail(path);
	return fd;
}

static int
open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail(path);
	return fd;
}

static struct source
open_source(const char *path)
{
	struct source source = {0};
	struct stat st;

	if (stat(path, &st) != 0)
		fail(path);
	source.fd = S_ISSOCK(st.st_mode) ? open_socket(path) : open_device(path, &source.gives);
	return source;
}

/* ---- asking ---- */

static void
ask(struct source *source, size_t total)
{
	static const uint8_t request[] = {2, ASK};

	while (!enough && source->asked < total && source->asked < source->had + AHEAD) {
		if (!source->gives &&
		    write(source->fd, request, sizeof(request)) != (ssize_t)sizeof(request))
			fail("write");
		source->asked += ASK;
	}
}

/* Up to `len` bytes: fewer when none has come for too long. */
static size_t
read_reply(struct source *source, uint8_t *ret, size_t len)
{
	struct pollfd one = {.fd = source->fd, .events = POLLIN};
	size_t had = 0;

	while (had < len) {
		unsigned long long began_ms = now_ms(), took_ms;
		int ready = poll(&one, 1, PATIENCE_MS);
		ssize_t n = ready == 1 ? read(source->fd, ret + had, len - had) : 0;

		if ((ready < 0 || n < 0) && errno == EINTR)
			continue;
		if (ready < 0 || n < 0 || (ready == 1 && n == 0))
			fail("read");
		took_ms = now_ms() - began_ms;
		if (took_ms > source->longest_ms)
			source->longest_ms = took_ms;
		if (ready == 0)
			break;
		had += (size_t)n;
	}
	source->had += had;
	return had;
}

static void
read_all(struct source *source, struct stream *s, size_t total)
{
	unsigned long long told_ms = 0;
	uint8_t reply[ASK];

	for (ask(source, total); source->had < source->asked; ask(source, total)) {
		size_t n;

		if (now_ms() - told_ms >= TELL_EVERY_MS)
			fprintf(stderr, "at %llu %zu\n", told_ms = now_ms(), source->had);
		n = read_reply(source, reply, ASK);
		stream_account(s, reply, n);
		if (n == ASK)
			continue;
		if (++source->asked_again == TRIES_MAX)
			errno = ETIMEDOUT, fail("reply");
		source->asked = source->had;
	}
	fprintf(stderr, "at %llu %zu\n", now_ms(), source->had);
}

/* ---- telling ---- */

static void
tell_pieces(const struct stream *s)
{
	for (size_t at = 0, from; at < s->len; at++) {
		if (s->taken[at] == 0)
			continue;
		for (from = at; at < s->len && s->taken[at] != 0; at++)
			;
		printf("took %zu %zu\n", from, at);
	}
}

int
main(int argc, char **argv)
{
	static struct stream s;
	struct source source;

	if (argc < 5) {
		fprintf(stderr, "usage: xen_probe SEED SPAN BYTES xen|SOCKET|FILE...\n");
		return 2;
	}
	signal(SIGTERM, on_enough);
	stream_init(&s, argv[1], strtoul(argv[2], NULL, 10));
	fprintf(stderr, "guest: ready\n");
	while (read(STDIN_FILENO, &(char){0}, 1) > 0)
		;
	for (int i = 4; i < argc; i++) {
		source = open_source(strcmp(argv[i], "xen") == 0 ? channel() : argv[i]);
		read_all(&source, &s, strtoul(argv[3], NULL, 10));
		printf("xen_probe: %s: asked again %u times; nothing came for up to %llu ms\n",
		       argv[i], source.asked_again, source.longest_ms);
	}
	tell_pieces(&s);
	printf("xen_probe: %llu bytes found, %llu twice, %llu foreign, %llu in pieces too short\n",
	       (unsigned long long)s.located, (unsigned long long)s.duplicate,
	       (unsigned long long)s.foreign, (unsigned long long)s.loose);
	return s.located == 0 || s.duplicate != 0 || s.foreign != 0;
}
