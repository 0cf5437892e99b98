/* SPDX-License-Identifier: MIT */
#include "guest/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/xen_channel.h"
#include "egd/egd_wire.h"

/*
 * Of one question; what the host's daemon knows it says at once, but QEMU throws away what is said
 * before it is connected there.
 */
#define PATIENCE_MS 1000
#define QUIET_MS 100 /* after the last byte of an answer */

const char *
check_xen(const char *where)
{
	return where[0] == '\0' ? NULL : "only xen is needed: its channel has a name";
}

/* How many bytes come until it is quiet, or -errno; -ETIMEDOUT: none. */
static ssize_t
hear_out(int fd, uint64_t end_ms)
{
	uint64_t quiet_ms = clock_now_ms() + PATIENCE_MS;
	ssize_t heard = 0;

	for (;;) {
		uint8_t bytes[EGD_LEN_MAX];
		int result = connect_wait(fd, POLLIN, quiet_ms < end_ms ? quiet_ms : end_ms);
		ssize_t n = result == 0 ? read(fd, bytes, sizeof(bytes)) : 0;

		secret_wipe(bytes, sizeof(bytes)); /* somebody's who has given up */
		if (result == -ETIMEDOUT && heard > 0)
			return heard;
		if (result < 0)
			return result;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		heard += n > 0 ? n : 0;
		quiet_ms = clock_now_ms() + QUIET_MS;
	}
}

/*
 * There is one channel for the life of the guest: what others have asked before us, and did not
 * wait for, comes before what we ask. So the question is how much entropy there is, which costs
 * none, until its answer comes alone.
 */
static int
begin_anew(int fd, uint64_t end_ms)
{
	const struct egd_request request = {.op = EGD_LEVEL};
	uint8_t bytes[EGD_ASK_LEN];
	size_t len = egd_wire_put_request(request, bytes);

	while (clock_now_ms() < end_ms) {
		ssize_t heard;

		(void)tcflush(fd, TCIFLUSH);
		if (write(fd, bytes, len) < 0 && errno != EAGAIN)
			return -errno;
		heard = hear_out(fd, end_ms);
		if (heard == EGD_LEVEL_LEN)
			return 0;
		if (heard < 0 && heard != -ETIMEDOUT)
			return (int)heard;
	}
	return CONNECT_NO_ANSWER;
}

int
connect_xen(const char *where, uint64_t end_ms)
{
	char path[XEN_CHANNEL_PATH_MAX];
	int result = xen_channel_find(XEN_CHANNEL_NAME, path), fd;

	(void)where;
	if (result < 0)
		return result == -ENOENT   ? CONNECT_NO_XEN
		       : result == -ENODEV ? CONNECT_NO_CHANNEL
					   : result;
	fd = connect_tty(path, end_ms);
	if (fd < 0)
		return fd;
	result = begin_anew(fd, end_ms);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}
