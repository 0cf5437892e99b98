/* SPDX-License-Identifier: MIT */
#include "egd/xen.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "priv/connect_helper.h"

/* ATTRIB: somebody opens the access to a socket; DELETE: who is gone is forgotten. */
#define CHANGES (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_ONLYDIR)

/*
 * Between two connections to one guest, twice as long each time: what is at its other end may not
 * speak EGD at all. A channel that lasted longer was a good one; a socket that is made anew is
 * connected to at once.
 */
#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 32000

enum state { AWAY, ORDERED, CONNECTED };

struct guest {
	enum state state;
	bool seen; /* its socket, at the last look */
	int error; /* of the last order, as the log has it */
	uint64_t began_ms, wait_ms;
	LIST_ENTRY(guest) in_guests;
	char socket[CONNECT_HELPER_NAME_MAX];
};

struct egd_xen {
	struct egd_xen_env env;
	int watch;
	struct event *changed, *answered, *again;
	LIST_HEAD(, guest) guests;
};

static const char *
name_of(const struct guest *guest)
{
	return guest->socket + strlen(CONNECT_HELPER_PREFIX);
}

static struct guest *
find(struct egd_xen *x, const char *name)
{
	struct guest *guest;

	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = LIST_NEXT(guest, in_guests))
		if (strcmp(name_of(guest), name) == 0)
			break;
	return guest;
}

/* ---- looking who is there ---- */

/* A new one, or the one that is known; NULL: no memory, or no such name. */
static struct guest *
know(struct egd_xen *x, const char *name)
{
	struct guest *guest = find(x, name);

	if (guest != NULL || strlen(CONNECT_HELPER_PREFIX) + strlen(name) >= sizeof(guest->socket))
		return guest;
	guest = calloc(1, sizeof(*guest));
	if (guest == NULL)
		return NULL;
	snprintf(guest->socket, sizeof(guest->socket), "%s%s", CONNECT_HELPER_PREFIX, name);
	LIST_INSERT_HEAD(&x->guests, guest, in_guests);
	return guest;
}

/* No memory: found at the next look. */
static void
see(struct egd_xen *x, const char *socket)
{
	struct guest *guest = know(x, socket + strlen(CONNECT_HELPER_PREFIX));

	if (guest != NULL)
		guest->seen = true;
}

static bool
is_channel(const struct dirent *entry)
{
	return entry->d_type == DT_SOCK && strlen(entry->d_name) < CONNECT_HELPER_NAME_MAX &&
	       strlen(entry->d_name) > strlen(CONNECT_HELPER_PREFIX) &&
	       strncmp(entry->d_name, CONNECT_HELPER_PREFIX, strlen(CONNECT_HELPER_PREFIX)) == 0;
}

static void
see_all(struct egd_xen *x)
{
	DIR *directory = opendir(x->env.directory);
	const struct dirent *entry;
	struct guest *guest;

	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = LIST_NEXT(guest, in_guests))
		guest->seen = false;
	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL)
		if (is_channel(entry))
			see(x, entry->d_name);
	closedir(directory);
}

static void
forget(struct guest *guest)
{
	LIST_REMOVE(guest, in_guests);
	free(guest);
}

static void
forget_those_gone(struct egd_xen *x)
{
	struct guest *guest, *next;

	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = next) {
		next = LIST_NEXT(guest, in_guests);
		if (!guest->seen && guest->state == AWAY)
			forget(guest);
	}
}

/* ---- connecting ---- */

static void
order(struct egd_xen *x, struct guest *guest, uint64_t now_ms)
{
	const struct timeval timeout = {.tv_sec = connect_helper_role.timeout_s};

	guest->began_ms = now_ms;
	guest->wait_ms = guest->wait_ms == 0                ? WAIT_MIN_MS
			 : guest->wait_ms * 2 < WAIT_MAX_MS ? guest->wait_ms * 2
							    : WAIT_MAX_MS;
	if (connect_helper_request(x->env.connector, guest->socket) != 0)
		return;
	guest->state = ORDERED;
	event_add(x->answered, &timeout);
}

/* Connects to all whose time has come, and sets the clock for the next of the others. */
static void
connect_all(struct egd_xen *x)
{
	uint64_t now_ms = clock_now_ms(), next_ms = UINT64_MAX;
	struct timeval wait;
	struct guest *guest;

	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = LIST_NEXT(guest, in_guests)) {
		/* NOLINTNEXTLINE: forget() takes a guest out of the list */
		uint64_t due_ms = guest->began_ms + guest->wait_ms;

		if (guest->state == AWAY && now_ms >= due_ms) {
			order(x, guest, now_ms);
			due_ms = now_ms + guest->wait_ms;
		}
		if (guest->state == AWAY && due_ms < next_ms)
			next_ms = due_ms;
	}
	if (next_ms == UINT64_MAX)
		return;
	wait = clock_timeval(next_ms - now_ms);
	event_add(x->again, &wait);
}

static void
look(struct egd_xen *x)
{
	see_all(x);
	forget_those_gone(x);
	connect_all(x);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

/* What exactly has changed does not matter: who is not connected is tried now. */
static void
on_changed(evutil_socket_t fd, short what, void *arg)
{
	char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	struct egd_xen *x = arg;
	struct guest *guest;

	(void)what;
	while (read(fd, events, sizeof(events)) > 0)
		;
	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = LIST_NEXT(guest, in_guests))
		if (guest->state == AWAY)
			guest->wait_ms = 0;
	look(x);
}

static const char *
cure(int error)
{
	return error == EACCES ? ": only root may: start the daemon as root, with user =, or with"
				 " CAP_DAC_OVERRIDE"
			       : "";
}

/* Nobody listens yet, or no more: QEMU comes and goes with its guest. */
static void
note_failure(struct egd_xen *x, struct guest *guest, int error)
{
	if (error != guest->error && error != ECONNREFUSED && error != ENOENT)
		log_warn("listen %s: cannot connect to %s/%s: %s%s", x->env.name, x->env.directory,
			 guest->socket, strerror(error), cure(error));
	guest->error = error;
	guest->state = AWAY;
}

static void
note_connection(struct egd_xen *x, struct guest *guest, int fd)
{
	guest->error = 0;
	guest->state = CONNECTED;
	log_info("listen %s: guest %s is connected", x->env.name, name_of(guest));
	x->env.taken(x->env.arg, fd, name_of(guest));
}

/* Guests that are connected stay so. */
static void
lose_helper(struct egd_xen *x, const char *what)
{
	log_err("listen %s: %s %s: restart the daemon", x->env.name, connect_helper_role.name,
		what);
	event_del(x->answered);
	helper_stop(x->env.connector);
}

/* Answers to requests of a listener that a reload has ended come here too, and are dropped. */
static void
on_answered(evutil_socket_t fd, short what, void *arg)
{
	char socket[CONNECT_HELPER_NAME_MAX];
	struct egd_xen *x = arg;
	int result = connect_helper_answer(x->env.connector, socket);
	struct guest *guest;

	(void)fd;
	if (socket[0] == '\0') {
		if (result == -EPIPE)
			lose_helper(x, "has ended");
		else if ((what & EV_TIMEOUT) != 0)
			lose_helper(x, "does not answer");
		return;
	}
	if (helper_is_idle(x->env.connector))
		event_remove_timer(x->answered);
	guest = find(x, socket + strlen(CONNECT_HELPER_PREFIX));
	if (guest != NULL && guest->state == ORDERED) {
		if (result >= 0)
			note_connection(x, guest, result);
		else
			note_failure(x, guest, -result);
	} else if (result >= 0) {
		close(result);
	}
	connect_all(x);
}

void
egd_xen_left(struct egd_xen *x, const char *name)
{
	const struct timeval at_once = {0};
	struct guest *guest = find(x, name);

	guest->state = AWAY;
	if (clock_now_ms() - guest->began_ms > WAIT_MAX_MS)
		guest->wait_ms = WAIT_MIN_MS;
	event_add(x->again, &at_once); /* not now: who left is in the midst of it */
}

/* ---- life ---- */

/* 0 or -errno. */
static int
start(struct egd_xen *x)
{
	struct event_base *base = x->env.base;

	x->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (x->watch < 0 || inotify_add_watch(x->watch, x->env.directory, CHANGES) < 0)
		return -errno;
	x->changed = event_new(base, x->watch, EV_READ | EV_PERSIST, on_changed, x);
	x->answered = event_new(base, x->env.connector->fd, EV_READ | EV_PERSIST, on_answered, x);
	x->again = evtimer_new(base, on_again, x);
	if (x->changed == NULL || x->answered == NULL || x->again == NULL ||
	    event_add(x->changed, NULL) != 0 || event_add(x->answered, NULL) != 0)
		return -ENOMEM;
	event_active(x->changed, EV_READ, 0); /* for those who are there already */
	return 0;
}

struct egd_xen *
egd_xen_new(const struct egd_xen_env *env)
{
	struct egd_xen *x = calloc(1, sizeof(*x));
	int result = -ENOMEM;

	if (x != NULL) {
		x->env = *env;
		x->watch = -1;
		LIST_INIT(&x->guests);
		result = start(x);
	}
	if (result == 0)
		return x;
	log_err("listen %s: cannot watch %s: %s", env->name, env->directory, strerror(-result));
	egd_xen_free(&x);
	return NULL;
}

void
egd_xen_free(struct egd_xen **xen)
{
	struct egd_xen *x = *xen;

	if (x == NULL)
		return;
	while (!LIST_EMPTY(&x->guests))
		forget(LIST_FIRST(&x->guests)); /* NOLINT: it takes it out */
	if (x->changed != NULL)
		event_free(x->changed);
	if (x->answered != NULL)
		event_free(x->answered);
	if (x->again != NULL)
		event_free(x->again);
	if (x->watch >= 0)
		close(x->watch);
	free(x);
	*xen = NULL;
}
