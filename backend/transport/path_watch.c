/* SPDX-License-Identifier: MIT */
#include "backend/transport/path_watch.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* ATTRIB: udev opens the access to a node after the kernel has made it. */
#define APPEAR_MASK (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_ONLYDIR)

struct path_watch {
	int fd;
	struct event *readable;
	char *name; /* in the directory */
	path_watch_fn *fn;
	void *arg;
};

/* True when an event is about the name, or may be. */
static bool
path_watch_concerns(const struct path_watch *a, const char *bytes, size_t len)
{
	while (len >= sizeof(struct inotify_event)) {
		struct inotify_event event;
		const char *name = bytes + sizeof(event);

		memcpy(&event, bytes, sizeof(event));
		if (event.len == 0 || strcmp(name, a->name) == 0)
			return true; /* len 0: the directory itself, or events were lost */
		bytes += sizeof(event) + event.len;
		len -= sizeof(event) + event.len;
	}
	return false;
}

static void
path_watch_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct path_watch *a = arg;
	char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)what;
	if (n > 0 && path_watch_concerns(a, bytes, (size_t)n))
		a->fn(a->arg); /* may free us */
}

static bool
path_watch_start(struct path_watch *a, struct event_base *base, const char *dir)
{
	a->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (a->fd < 0 || inotify_add_watch(a->fd, dir, APPEAR_MASK) < 0)
		return false;
	a->readable = event_new(base, a->fd, EV_READ | EV_PERSIST, path_watch_on_readable, a);
	return a->readable != NULL && event_add(a->readable, NULL) == 0;
}

struct path_watch *
path_watch_new(struct event_base *base, const char *path, path_watch_fn *fn, void *arg)
{
	struct path_watch *a = calloc(1, sizeof(*a));
	const char *slash = strrchr(path, '/');
	char *dir = strndup(path, slash > path ? (size_t)(slash - path) : 1);

	if (a != NULL) {
		*a = (struct path_watch){.fd = -1, .name = strdup(slash + 1), .fn = fn, .arg = arg};
		if (dir == NULL || a->name == NULL || !path_watch_start(a, base, dir))
			path_watch_free(&a);
	}
	free(dir);
	return a;
}

void
path_watch_free(struct path_watch **path_watch)
{
	struct path_watch *a = *path_watch;

	if (a == NULL)
		return;
	if (a->readable != NULL)
		event_free(a->readable);
	if (a->fd >= 0)
		close(a->fd);
	free(a->name);
	free(a);
	*path_watch = NULL;
}
