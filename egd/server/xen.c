/* SPDX-License-Identifier: MIT */
#include "egd/server/xen.h"

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

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/connect_helper.h"

/* ATTRIB: a socket may have become accessible; DELETE: its guest can be forgotten. */
#define CHANGES (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_ONLYDIR)

/*
 * Delay between two connections to one guest, doubled each time, for the program at its other end
 * may not speak EGD. It starts again after a connection that lasted longer, and with a new socket.
 */
#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 32000

#define PREFIX_LEN (sizeof(CONNECT_HELPER_PREFIX) - 1)

enum state { AWAY, REQUESTED, CONNECTED };

struct guest {
	enum state state;
	bool seen; /* its socket is in the directory */
	int error; /* of the last request, which is logged */
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

static struct guest *
find(struct egd_xen *x, const char *name)
{
	struct guest *guest;

	LIST_FOREACH(guest, &x->guests, in_guests)
	if (strcmp(guest->socket + PREFIX_LEN, name) == 0)
		break;
	return guest;
}

/* ---- the sockets in the directory ---- */

static bool
is_channel(const struct dirent *entry)
{
	return entry->d_type == DT_SOCK && strlen(entry->d_name) < CONNECT_HELPER_NAME_MAX &&
	       strlen(entry->d_name) > PREFIX_LEN &&
	       strncmp(entry->d_name, CONNECT_HELPER_PREFIX, PREFIX_LEN) == 0;
}

/* Marks a guest, and adds a new one. Without memory the next scan finds it. */
static void
mark_seen(struct egd_xen *x, const char *socket)
{
	struct guest *guest = find(x, socket + PREFIX_LEN);

	if (guest == NULL) {
		guest = calloc(1, sizeof(*guest));
		if (guest == NULL)
			return;
		snprintf(guest->socket, sizeof(guest->socket), "%.*s",
			 (int)sizeof(guest->socket) - 1, socket);
		LIST_INSERT_HEAD(&x->guests, guest, in_guests);
	}
	guest->seen = true;
}

static void
forget(struct guest *guest)
{
	LIST_REMOVE(guest, in_guests);
	free(guest);
}

/* Finds new guests, and forgets those whose socket is gone. */
static void
scan(struct egd_xen *x)
{
	DIR *directory = opendir(x->env.directory);
	const struct dirent *entry;
	struct guest *guest, *next;

	LIST_FOREACH(guest, &x->guests, in_guests)
	guest->seen = false;
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (is_channel(entry))
			mark_seen(x, entry->d_name);
	if (directory != NULL)
		closedir(directory);
	for (guest = LIST_FIRST(&x->guests); guest != NULL; guest = next) {
		next = LIST_NEXT(guest, in_guests);
		if (!guest->seen && guest->state == AWAY)
			forget(guest);
	}
}

/* ---- connecting ---- */

static void
request(struct egd_xen *x, struct guest *guest, uint64_t now_ms)
{
	const struct timeval timeout = {.tv_sec = connect_helper_role.timeout_s};

	guest->began_ms = now_ms;
	guest->wait_ms = clock_longer_wait(guest->wait_ms, WAIT_MIN_MS, WAIT_MAX_MS);
	if (connect_helper_request(x->env.connector, guest->socket) != 0)
		return;
	guest->state = REQUESTED;
	event_add(x->answered, &timeout);
}

/* Connects to all guests whose delay is over, and sets the timer for the next of the others. */
static void
connect_all(struct egd_xen *x)
{
	uint64_t now_ms = clock_now_ms(), next_ms = UINT64_MAX;
	struct timeval wait;
	struct guest *guest;

	LIST_FOREACH(guest, &x->guests, in_guests)
	{
		/* NOLINTNEXTLINE: forget() takes a guest out of the list */
		if (guest->state == AWAY && now_ms >= guest->began_ms + guest->wait_ms)
			request(x, guest, now_ms);
		if (guest->state == AWAY && guest->began_ms + guest->wait_ms < next_ms)
			next_ms = guest->began_ms + guest->wait_ms;
	}
	if (next_ms == UINT64_MAX)
		return;
	wait = clock_timeval(next_ms - now_ms);
	event_add(x->again, &wait);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	scan(arg);
	connect_all(arg);
}

/* Whatever has changed, guests without a connection are tried now. */
static void
on_changed(evutil_socket_t fd, short what, void *arg)
{
	char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	struct egd_xen *x = arg;
	struct guest *guest;

	while (read(fd, events, sizeof(events)) > 0)
		;
	LIST_FOREACH(guest, &x->guests, in_guests)
	if (guest->state == AWAY)
		guest->wait_ms = 0;
	on_again(fd, what, x);
}

/* `result` is the channel's fd, or -errno; ECONNREFUSED and ENOENT while the guest does not run. */
static void
note_answer(struct egd_xen *x, struct guest *guest, int result)
{
	int error = result < 0 ? -result : 0;

	if (error != 0 && error != guest->error && error != ECONNREFUSED && error != ENOENT)
		log_warn("listen %s: cannot connect to %s/%s: %s%s", x->env.name, x->env.directory,
			 guest->socket, strerror(error),
			 error == EACCES ? ": it takes root or CAP_DAC_OVERRIDE: start the daemon "
					   "as root, with user ="
					 : "");
	guest->error = error;
	guest->state = error != 0 ? AWAY : CONNECTED;
	if (error != 0)
		return;
	log_info("listen %s: guest %s is connected", x->env.name, guest->socket + PREFIX_LEN);
	x->env.connected(x->env.arg, result, guest->socket + PREFIX_LEN);
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

/* Drops answers to requests of a listener that a reload has ended, which come here too. */
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
	guest = find(x, socket + PREFIX_LEN);
	if (guest != NULL && guest->state == REQUESTED)
		note_answer(x, guest, result);
	else if (result >= 0)
		close(result);
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
	event_add(x->again, &at_once); /* not now: the connection is being freed */
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
	event_active(x->changed, EV_READ, 0); /* for the sockets that are there already */
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
		forget(LIST_FIRST(&x->guests)); /* NOLINT: removes it from the list */
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
