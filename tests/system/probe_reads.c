/* SPDX-License-Identifier: MIT */
/* Promises of a device that flows. */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/system/pace.h"
#include "tests/system/probe.h"

#define WHOLE_MAX \
	256 /* a blocking read of so many bytes is whole; a longer one has at least these */
#define WAIT_MS (10000 * pace())

static char buffer[(1 << 20) + 4096];

static const char *
small_reads_are_whole(const struct probe *p)
{
	static const size_t sizes[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256};
	int fd = probe_open(p, 0);

	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			ssize_t n = read(fd, buffer, sizes[i]);

			if (n != (ssize_t)sizes[i])
				return complain("read of %zu gave %zd", sizes[i], n);
		}
	}
	return NULL;
}

static const char *
long_reads_have_256_at_least(const struct probe *p)
{
	static const size_t sizes[] = {257,    4095,   4096,   4097,    65536,
				       131071, 131072, 131073, 1 << 20, (1 << 20) + 1};
	int fd = probe_open(p, 0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ssize_t n = read(fd, buffer + i, sizes[i]);

		if (n < WHOLE_MAX || n > (ssize_t)sizes[i])
			return complain("read of %zu gave %zd", sizes[i], n);
	}
	return NULL;
}

static const char *
empty_read_is_zero(const struct probe *p)
{
	ssize_t n = read(probe_open(p, 0), buffer, 0);

	return n == 0 ? NULL : complain_call("read of 0", n, "0");
}

static const char *
bad_pointer_is_efault(const struct probe *p)
{
	int fd = probe_open(p, 0);
	void *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n = read(fd, bad, 64);

	if (n != -1 || errno != EFAULT)
		return complain_call("read to a bad pointer", n, "EFAULT");
	n = read(fd, buffer, 64);
	return n == 64 ? NULL : complain_call("the read after it", n, "64");
}

static const char *
no_opening_for_write(const struct probe *p)
{
	static const int flags[] = {O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK};

	for (int i = 0; i < 3; i++) {
		int fd = open(p->device, flags[i] | O_CLOEXEC);

		if (fd >= 0 || (errno != EACCES && errno != EPERM))
			return complain_call("open for write", fd, "EACCES or EPERM");
	}
	return NULL;
}

static const char *
entropy_count_is_bits(const struct probe *p)
{
	int fd = probe_open(p, 0), bits = -1, rc = 0;

	for (double end = probe_now_ms() + WAIT_MS; bits <= 0 && probe_now_ms() < end;) {
		rc = ioctl(fd, RNDGETENTCNT, &bits);
		if (rc != 0)
			return complain_call("RNDGETENTCNT", rc, "0");
	}
	return bits > 0 && bits % 8 == 0 ? NULL : complain("%d bits, wanted whole bytes", bits);
}

static const char *
unknown_ioctl_is_refused(const struct probe *p)
{
	int rc = ioctl(probe_open(p, 0), _IO('R', 0x7f), 0);

	if (rc == -1 && (errno == EINVAL || errno == ENOTTY))
		return NULL;
	return complain_call("an unknown ioctl", rc, "EINVAL or ENOTTY");
}

static const char *
cannot_be_mapped(const struct probe *p)
{
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, probe_open(p, 0), 0);

	if (at != MAP_FAILED || (errno != ENODEV && errno != EACCES && errno != EPERM))
		return complain_call("mmap", at == MAP_FAILED ? -1 : 0, "ENODEV");
	return NULL;
}

static const char *
sendfile_repeats_nothing(const struct probe *p)
{
	int fd = probe_open(p, 0), ends[2];
	char got[2][64] = {{0}};
	ssize_t n[2];

	if (pipe(ends) != 0)
		return complain_call("pipe", -1, "0");
	for (int i = 0; i < 2; i++) {
		n[i] = sendfile(ends[1], fd, &(off_t){0}, sizeof(got[i]));
		if (n[i] > 0 && read(ends[0], got[i], (size_t)n[i]) != n[i])
			return complain("the pipe lost bytes");
	}
	if (n[0] > 0 && n[1] > 0 && memcmp(got[0], got[1], sizeof(got[0])) == 0)
		return complain("the same %zd bytes twice", n[0]);
	return NULL;
}

/* A FUSE file says that it has no positions; a character device takes any and ignores it. */
static const char *
pread_repeats_nothing(const struct probe *p)
{
	int fd = probe_open(p, 0);
	char got[2][64];

	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(fd, got[i], sizeof(got[i]), 0);

		if (n == -1 && errno == ESPIPE && p->fuse)
			return NULL;
		if (n != sizeof(got[i]))
			return complain_call("pread", n, p->fuse ? "ESPIPE" : "64");
	}
	return memcmp(got[0], got[1], sizeof(got[0])) ? NULL : complain("the same bytes twice");
}

static const char *
read_after_ready(int fd)
{
	ssize_t n = read(fd, buffer, 16);

	return n > 0 ? NULL : complain_call("the read after it", n, "bytes");
}

static const char *
poll_is_ready(const struct probe *p)
{
	struct pollfd want = {.fd = probe_open(p, O_NONBLOCK), .events = POLLIN | POLLOUT};
	int n = poll(&want, 1, WAIT_MS);

	if (n != 1 || want.revents != POLLIN)
		return complain("poll gave %d with events %#x, wanted POLLIN", n, want.revents);
	return read_after_ready(want.fd);
}

static const char *
select_is_ready(const struct probe *p)
{
	int fd = probe_open(p, O_NONBLOCK), n;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	n = select(fd + 1, &set, NULL, NULL, &(struct timeval){.tv_sec = WAIT_MS / 1000});
	return n == 1 ? read_after_ready(fd) : complain_call("select", n, "1");
}

static const char *
epoll_is_ready(const struct probe *p)
{
	int fd = probe_open(p, O_NONBLOCK), set = epoll_create1(EPOLL_CLOEXEC), n;
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0)
		return complain_call("epoll_ctl", -1, "0");
	n = epoll_wait(set, &event, 1, WAIT_MS);
	return n == 1 ? read_after_ready(fd) : complain_call("epoll_wait", n, "1");
}

const struct promise read_promises[] = {
	{"small_reads_are_whole", small_reads_are_whole, false},
	{"long_reads_have_256_at_least", long_reads_have_256_at_least, false},
	{"empty_read_is_zero", empty_read_is_zero, false},
	{"bad_pointer_is_efault", bad_pointer_is_efault, false},
	{"no_opening_for_write", no_opening_for_write, false},
	{"entropy_count_is_bits", entropy_count_is_bits, false},
	{"unknown_ioctl_is_refused", unknown_ioctl_is_refused, false},
	{"cannot_be_mapped", cannot_be_mapped, false},
	{"sendfile_repeats_nothing", sendfile_repeats_nothing, false},
	{"pread_repeats_nothing", pread_repeats_nothing, false},
	{"poll_is_ready", poll_is_ready, false},
	{"select_is_ready", select_is_ready, false},
	{"epoll_is_ready", epoll_is_ready, false},
	{0},
};
