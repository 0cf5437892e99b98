/* SPDX-License-Identifier: MIT */
/*
 * Runs in a guest of Xen (xen_guest.sh): reads from an EGD server and holds what comes against the
 * stream of a simulated key with a seed.
 *
 *   xen_probe TERMINAL|SOCKET SEED BYTES SPAN
 *
 * SPAN: so many bytes of the stream are known. Prints "at MS BYTES" as it goes, MS on the clock
 * that all guests have from Xen, and at the end "took FROM TO" for each piece that it got, so that
 * those of two guests can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/stream.h"

#define ASK 255
#define AHEAD \
	8 /* requests that wait for their answers: it is the server that is slow, not the way */
#define PATIENCE_MS 30000
#define TELL_EVERY_MS 500

static void
fail(const char *what)
{
	printf("xen_probe: %s: %s\n", what, strerror(errno));
	exit(2);
}

static unsigned long long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (unsigned long long)t.tv_sec * 1000 + (unsigned long long)t.tv_nsec / 1000000;
}

static int
open_raw(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd < 0 || tcgetattr(fd, &raw) != 0)
		fail(path);
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

static int
open_server(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		fail(path);
	return S_ISSOCK(st.st_mode) ? open_socket(path) : open_raw(path);
}

static void
read_all(int fd, uint8_t *ret, size_t len)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	for (ssize_t n; len > 0; ret += n, len -= (size_t)n) {
		if (poll(&one, 1, PATIENCE_MS) != 1)
			errno = ETIMEDOUT, fail("reply");
		n = read(fd, ret, len);
		if (n <= 0)
			fail("read");
	}
}

static void
ask(int fd)
{
	static const uint8_t request[] = {2, ASK};

	if (write(fd, request, sizeof(request)) != (ssize_t)sizeof(request))
		fail("write");
}

static void
ask_for(int fd, struct stream *s, size_t total)
{
	uint8_t reply[ASK];
	unsigned long long told_ms = 0;
	size_t asked = 0;

	for (size_t had = 0; had < total; had += ASK) {
		for (; asked < total && asked < had + AHEAD * ASK; asked += ASK)
			ask(fd);
		if (now_ms() - told_ms >= TELL_EVERY_MS)
			printf("at %llu %zu\n", told_ms = now_ms(), had);
		read_all(fd, reply, ASK);
		stream_account(s, reply, ASK);
	}
	printf("at %llu %zu\n", now_ms(), total);
}

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

	if (argc != 5) {
		fprintf(stderr, "usage: xen_probe TERMINAL|SOCKET SEED BYTES SPAN\n");
		return 2;
	}
	stream_init(&s, argv[2], strtoul(argv[4], NULL, 10));
	ask_for(open_server(argv[1]), &s, strtoul(argv[3], NULL, 10));
	tell_pieces(&s);
	printf("xen_probe: %llu bytes found, %llu twice, %llu foreign, %llu in pieces too short\n",
	       (unsigned long long)s.located, (unsigned long long)s.duplicate,
	       (unsigned long long)s.foreign, (unsigned long long)s.loose);
	return s.located == 0 || s.duplicate != 0 || s.foreign != 0;
}
