/* SPDX-License-Identifier: MIT */
#include "lib/xenstore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/num.h"
#include "lib/secret.h"

#define TIMEOUT_MS 1000
#define NAME_MAX_LEN 256 /* bytes, of a guest or a console */

enum type {
	TYPE_DIRECTORY = 1,
	TYPE_READ = 2,
	TYPE_WATCH = 4,
	TYPE_WRITE = 11,
	TYPE_RM = 13,
	TYPE_SET_PERMS = 14,
	TYPE_WATCH_EVENT = 15,
	TYPE_ERROR = 16,
};

/* In the machine's own byte order. */
struct header {
	uint32_t type, request, transaction, len;
};

struct message {
	struct header header;
	char payload[XENSTORE_PAYLOAD_MAX];
};

int
xenstore_open(void)
{
	int fd = open("/dev/xen/xenbus", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 ? fd : -errno;
}

/* ---- bytes ---- */

static int
wait_for(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	int n;

	do
		n = poll(&one, 1, TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int
receive_all(int fd, void *ret, size_t len)
{
	for (size_t had = 0; had < len;) {
		ssize_t n = read(fd, (char *)ret + had, len - had);
		int result = n == 0                              ? -EPROTO
			     : n > 0                             ? 0
			     : errno == EAGAIN || errno == EINTR ? wait_for(fd, POLLIN)
								 : -errno;

		if (result < 0)
			return result;
		had += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A request goes out by one write, as the kernel likes it best, and does not wait. */
static int
send_request(int fd, const struct message *m)
{
	size_t len = sizeof(m->header) + m->header.len;
	ssize_t n = write(fd, m, len);

	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? -errno : -EPROTO;
}

/* ---- messages ---- */

static bool
put(struct message *m, const void *bytes, size_t len)
{
	if (len > sizeof(m->payload) - m->header.len)
		return false;
	memcpy(m->payload + m->header.len, bytes, len);
	m->header.len += (uint32_t)len;
	return true;
}

/* With its NUL. */
static bool
put_text(struct message *m, const char *text)
{
	return put(m, text, strlen(text) + 1);
}

/* Errors come by their names. */
static int
error_of(const struct message *m)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = {
		{"ENOENT", ENOENT}, {"EACCES", EACCES}, {"EINVAL", EINVAL}, {"EEXIST", EEXIST},
		{"EPERM", EPERM},   {"ENOSPC", ENOSPC}, {"EBUSY", EBUSY},   {"EROFS", EROFS},
		{"EQUOTA", EDQUOT}, {"E2BIG", E2BIG},   {"ENOMEM", ENOMEM},
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strncmp(m->payload, errors[i].name, m->header.len) == 0)
			return -errors[i].number;
	return -EIO;
}

/* Skips the news of watched paths, which come before the answer. */
static int
receive(int fd, enum type type, struct message *m)
{
	int result;

	do {
		result = receive_all(fd, &m->header, sizeof(m->header));
		if (result == 0 && m->header.len > sizeof(m->payload))
			result = -EPROTO;
		if (result == 0)
			result = receive_all(fd, m->payload, m->header.len);
	} while (result == 0 && m->header.type == TYPE_WATCH_EVENT);
	if (result == 0 && m->header.type == TYPE_ERROR)
		result = error_of(m);
	else if (result == 0 && m->header.type != (uint32_t)type)
		result = -EPROTO;
	return result;
}

/* `m` is the request, and then the answer. */
static int
ask(int fd, struct message *m)
{
	enum type type = (enum type)m->header.type;
	int result = send_request(fd, m);

	return result == 0 ? receive(fd, type, m) : result;
}

/* ---- questions ---- */

/* The payload that comes as an answer to a path. */
static int
get(int fd, enum type type, const char *path, char *ret, size_t cap)
{
	struct message m = {.header.type = type};
	int result = put_text(&m, path) ? ask(fd, &m) : -E2BIG;

	if (result == 0 && m.header.len >= cap)
		result = -ENOBUFS;
	if (result == 0) {
		memcpy(ret, m.payload, m.header.len);
		ret[m.header.len] = '\0';
		result = (int)m.header.len;
	}
	secret_wipe(&m, sizeof(m));
	return result;
}

int
xenstore_read(int fd, const char *path, char *ret, size_t cap)
{
	return get(fd, TYPE_READ, path, ret, cap);
}

int
xenstore_list(int fd, const char *path, char *ret, size_t cap)
{
	return get(fd, TYPE_DIRECTORY, path, ret, cap);
}

static bool
is_named(int fd, const char *folder, unsigned number, const char *name)
{
	char path[XENSTORE_PATH_MAX], value[NAME_MAX_LEN];

	snprintf(path, sizeof(path), "%s/%u/name", folder, number);
	return xenstore_read(fd, path, value, sizeof(value)) > 0 && strcmp(value, name) == 0;
}

int
xenstore_find(int fd, const char *folder, unsigned max, const char *name)
{
	char numbers[XENSTORE_PAYLOAD_MAX];
	int len = xenstore_list(fd, folder, numbers, sizeof(numbers));
	uint64_t number;

	if (len < 0)
		return len;
	for (const char *at = numbers; at < numbers + len; at += strlen(at) + 1)
		if (num_parse(at, max, &number) &&
		    (strcmp(at, name) == 0 || is_named(fd, folder, (unsigned)number, name)))
			return (int)number;
	return -ESRCH;
}

int
xenstore_write(int fd, const char *path, const void *value, size_t len)
{
	struct message m = {.header.type = TYPE_WRITE};
	int result = put_text(&m, path) && put(&m, value, len) ? ask(fd, &m) : -E2BIG;

	secret_wipe(&m, sizeof(m));
	return result;
}

/* The path itself is the token that comes with the news. */
int
xenstore_watch(int fd, const char *path)
{
	struct message m = {.header.type = TYPE_WATCH};

	return put_text(&m, path) && put_text(&m, path) ? ask(fd, &m) : -E2BIG;
}

int
xenstore_remove(int fd, const char *path)
{
	struct message m = {.header.type = TYPE_RM};

	return put_text(&m, path) ? ask(fd, &m) : -E2BIG;
}

/* The first names the owner, and the rights of guests that are not named: none. */
int
xenstore_share(int fd, const char *path, unsigned domain)
{
	struct message m = {.header.type = TYPE_SET_PERMS};
	char guest[16];

	snprintf(guest, sizeof(guest), "b%u", domain);
	if (!put_text(&m, path) || !put_text(&m, "n0") || !put_text(&m, guest))
		return -E2BIG;
	return ask(fd, &m);
}
