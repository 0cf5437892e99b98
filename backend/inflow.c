/* SPDX-License-Identifier: MIT */
#include "backend/inflow.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/secret.h"

/*
 * An fd that is readable once `fd` has hung up, or its other side sends no more; or -1. libevent
 * cannot wait for a hang-up alone: it would turn a tty's into "readable", which nobody waits for,
 * and spin.
 */
static int
inflow_hangup(int fd)
{
	struct epoll_event hang_up = {.events = EPOLLRDHUP}; /* HUP and ERR are always included */
	int watch_fd = epoll_create1(EPOLL_CLOEXEC);

	if (watch_fd >= 0 && epoll_ctl(watch_fd, EPOLL_CTL_ADD, fd, &hang_up) != 0) {
		close(watch_fd);
		return -1;
	}
	return watch_fd;
}

bool
inflow_open(struct inflow *in, struct event_base *base, int fd, size_t cap,
	    event_callback_fn readable, event_callback_fn removal, void *arg)
{
	*in = (struct inflow){.bytes = secret_new(cap), .cap = cap, .reading = true};
	if (in->bytes == NULL)
		return false;
	in->removal_fd = inflow_hangup(fd);
	in->readable = event_new(base, fd, EV_READ | EV_PERSIST, readable, arg);
	in->removal = event_new(base, in->removal_fd, EV_READ, removal, arg);
	if (in->removal_fd >= 0 && in->readable != NULL && in->removal != NULL &&
	    event_add(in->readable, NULL) == 0)
		return true;
	inflow_close(in);
	return false;
}

void
inflow_close(struct inflow *in)
{
	if (in->bytes == NULL)
		return;
	if (in->readable != NULL)
		event_free(in->readable);
	if (in->removal != NULL)
		event_free(in->removal);
	if (in->removal_fd >= 0)
		close(in->removal_fd);
	secret_free(in->bytes, in->cap);
	*in = (struct inflow){0};
}

void
inflow_stop(struct inflow *in)
{
	if (in->bytes == NULL)
		return;
	event_del(in->readable);
	event_del(in->removal);
}

bool
inflow_offer(struct inflow *in, const struct transport_events *events)
{
	size_t taken = events->bytes(events->arg, in->bytes + in->at, in->len);

	secret_wipe(in->bytes + in->at, taken); /* it may have been entropy in the clear */
	in->at += taken;
	in->len -= taken;
	return in->len == 0 && in->reading;
}

void
inflow_fill(struct inflow *in, size_t len)
{
	in->at = 0;
	in->len = len;
}

void
inflow_set_reading(struct inflow *in, bool on)
{
	if (in->reading == on)
		return;
	in->reading = on;
	if (on) {
		event_del(in->removal);
		event_add(in->readable, NULL);
		event_active(in->readable, EV_READ, 0); /* what we still hold comes first */
	} else {
		event_del(in->readable);
		event_add(in->removal, NULL);
	}
}
