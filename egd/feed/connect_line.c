/* SPDX-License-Identifier: MIT */
/*
 * A line lasts as long as the machine, so that replies to requests of other programs, which did not
 * wait for them, may come before the reply to our request.
 */
#include "egd/feed/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "egd/egd_wire.h"
#include "lib/clock.h"
#include "lib/secret.h"
#include "lib/xen_channel.h"

/*
 * For one request: a daemon sends its level at once, but QEMU discards bytes that are sent before
 * the daemon is connected to it.
 */
#define REPLY_MS 1000

int
connect_wait(int fd, short events, uint64_t end_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	for (;;) {
		uint64_t now_ms = clock_now_ms();
		int n;

		if (now_ms >= end_ms)
			return -ETIMEDOUT;
		n = poll(&one, 1, (int)(end_ms - now_ms));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int
make_raw(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) != 0)
		return -errno;
	cfmakeraw(&settings);
	settings.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &settings) != 0 || tcflush(fd, TCIOFLUSH) != 0)
		return -errno;
	return 0;
}

/* Counts the bytes that come until the line is quiet. Or -errno; -ETIMEDOUT: none came. */
static ssize_t
count_reply(int fd, uint64_t end_ms)
{
	uint64_t quiet_ms = clock_now_ms() + REPLY_MS;
	ssize_t count = 0;

	for (;;) {
		uint8_t bytes[EGD_LEN_MAX];
		int result = connect_wait(fd, POLLIN, quiet_ms < end_ms ? quiet_ms : end_ms);
		ssize_t n = result == 0 ? read(fd, bytes, sizeof(bytes)) : 0;

		secret_wipe(bytes, sizeof(bytes)); /* may be entropy of another program */
		if (result == -ETIMEDOUT && count > 0)
			return count;
		if (result < 0)
			return result;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		count += n > 0 ? n : 0;
		quiet_ms = clock_now_ms() + EGD_QUIET_MS;
	}
}

/* Requests the level, which costs no entropy, until its reply comes alone. */
static int
synchronise(int fd, uint64_t end_ms)
{
	const struct egd_request request = {.op = EGD_GET_COUNT};
	int result = CONNECT_NO_ANSWER;
	uint8_t bytes[EGD_ASK_LEN];
	size_t len = egd_wire_put_request(request, bytes);

	while (clock_now_ms() < end_ms) {
		ssize_t count;

		(void)tcflush(fd, TCIFLUSH);
		if (write(fd, bytes, len) < 0 && errno != EAGAIN)
			return -errno;
		count = count_reply(fd, end_ms);
		if (count == EGD_LEVEL_LEN)
			return 0;
		if (count < 0 && count != -ETIMEDOUT)
			return (int)count;
		result = count > 0 ? CONNECT_NOT_EGD : CONNECT_NO_ANSWER;
	}
	return result;
}

int
connect_tty(const char *path, uint64_t end_ms)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), result = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode))
		result = -ENOTTY;
	else if (isatty(fd))
		result = make_raw(fd);
	if (result == 0)
		result = synchronise(fd, end_ms);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

int
connect_xen(uint64_t end_ms)
{
	char path[XEN_CHANNEL_PATH_MAX];
	int result = xen_channel_find(XEN_CHANNEL_NAME, path);

	if (result < 0)
		return result == -ENOENT   ? CONNECT_NO_XEN
		       : result == -ENODEV ? CONNECT_NO_CHANNEL
					   : result;
	return connect_tty(path, end_ms);
}
