/* SPDX-License-Identifier: MIT */
#include "lib/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/net.h"

static void
pause_accept(struct acceptor *a, int error)
{
	const struct timeval second = {.tv_sec = 1};

	log_warn_limited(&a->paused_limit, 0, clock_now_ms(), "%s %s: cannot accept a client: %s",
			 a->kind, a->name, strerror(error));
	event_del(a->readable);
	event_add(a->resume, &second);
}

/* Duplicates `fd` to learn the lowest free descriptor, which accept(2) would return. */
static bool
fds_are_short(int fd, unsigned spare)
{
	int next = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct rlimit limit;

	if (next >= 0)
		close(next);
	return next < 0 ||
	       (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)next + spare + 1 > limit.rlim_cur);
}

static void
on_readable(evutil_socket_t listener, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)what;
	if (fds_are_short(listener, a->spare_fds)) {
		pause_accept(a, EMFILE);
		return;
	}
	for (unsigned i = 0; i < a->batch; i++) {
		struct address peer;
		int fd = net_accept(listener, &peer);

		if (fd >= 0) /* else the client may have gone already */
			a->accepted(a->arg, fd, &peer);
		if (fd == -EAGAIN)
			return;
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
			pause_accept(a, -fd);
			return;
		}
	}
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_add(((struct acceptor *)arg)->readable, NULL);
}

bool
acceptor_start(struct acceptor *a, struct event_base *base, int listener)
{
	a->readable = event_new(base, listener, EV_READ | EV_PERSIST, on_readable, a);
	a->resume = evtimer_new(base, on_resume, a);
	if (a->readable != NULL && a->resume != NULL && event_add(a->readable, NULL) == 0)
		return true;
	acceptor_stop(a);
	return false;
}

void
acceptor_stop(struct acceptor *a)
{
	if (a->readable != NULL)
		event_free(a->readable);
	if (a->resume != NULL)
		event_free(a->resume);
	a->readable = a->resume = NULL;
}
