/* SPDX-License-Identifier: MIT */
#include "egd/feed/triggers.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/random.h"
#include "lib/tls/tls.h"
#include "lib/xen_seed.h"

/*
 * The shortest time between two feeds by news of a clone, as in the daemon: false news cannot make
 * the servers busy, or keep a feed from its end.
 */
#define FLOOR_MS 2000
#define LOG_TURNS 64 /* reads at a time of a log that is being flooded */

static void
log_unwatched(int error)
{
	log_info("cannot watch xenstore for a seed of the host: %s", strerror(-error));
}

int
triggers_open(struct triggers *u)
{
	sigset_t orders;

	*u = (struct triggers){0};
	sigemptyset(&orders);
	sigaddset(&orders, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &orders, NULL) != 0)
		return -errno;
	u->orders = signalfd(-1, &orders, SFD_NONBLOCK | SFD_CLOEXEC);
	if (u->orders < 0)
		return -errno;
	u->random = priv_open_random();
	u->store = xen_seed_watch();
	if (u->store < 0 && u->store != -ENOENT)
		log_unwatched(u->store);
	vm_clone_open(&u->cloned);
	vm_clone_log_lack(&u->cloned);
	return 0;
}

void
triggers_close(struct triggers *u)
{
	if (u->random >= 0)
		close(u->random);
	if (u->store >= 0)
		close(u->store);
	close(u->orders);
	vm_clone_close(&u->cloned);
}

/* Reads the kernel's log; each call of vm_clone_take() reads some of its lines. */
static void
take_news(struct triggers *u)
{
	struct pollfd log = {.fd = vm_clone_fd(&u->cloned), .events = POLLIN};

	for (int i = 0; i == 0 || (i < LOG_TURNS && poll(&log, 1, 0) > 0); i++) {
		const char *news = vm_clone_take(&u->cloned);

		u->news = news != NULL ? news : u->news;
	}
}

bool
triggers_cloned(struct triggers *u)
{
	uint64_t now_ms = clock_now_ms();

	take_news(u);
	if (u->news == NULL || now_ms < u->floor_ms)
		return false;
	log_warn_limited(&u->limit, 0, now_ms, "this machine %s: feeding its kernel now", u->news);
	tls_reseed();
	u->news = NULL;
	u->floor_ms = now_ms + FLOOR_MS;
	return true;
}

static bool
is_ordered(const struct triggers *u)
{
	struct signalfd_siginfo order;

	return read(u->orders, &order, sizeof(order)) == (ssize_t)sizeof(order);
}

/* A late answer must not be taken for the next one: after a timeout the connection is replaced. */
static bool
seed_is_left(struct triggers *u)
{
	int result = xen_seed_is_there(u->store);

	if (result >= 0)
		return result > 0;
	close(u->store);
	u->store = result == -ETIMEDOUT ? xen_seed_watch() : result;
	if (u->store < 0)
		log_unwatched(u->store);
	return false;
}

/* Returns the timeout for poll(2), which ends when waiting news is due. */
static int
wait_ms(const struct triggers *u, uint64_t now_ms, uint64_t end_ms)
{
	uint64_t due_ms = u->news != NULL && u->floor_ms < end_ms ? u->floor_ms : end_ms;

	if (due_ms <= now_ms)
		return 0;
	return due_ms - now_ms < INT_MAX ? (int)(due_ms - now_ms) : INT_MAX;
}

enum trigger
triggers_wait(struct triggers *u, uint64_t ms, bool kernel)
{
	struct pollfd fds[] = {{.fd = vm_clone_fd(&u->cloned), .events = POLLIN},
			       {.fd = u->orders, .events = POLLIN},
			       {.fd = u->store, .events = POLLIN},
			       {.fd = kernel ? u->random : -1, .events = POLLOUT}};
	uint64_t end_ms = clock_now_ms() + ms, now_ms;

	while ((now_ms = clock_now_ms()) < end_ms) {
		if (poll(fds, 4, wait_ms(u, now_ms, end_ms)) < 0)
			continue;
		if ((fds[0].revents != 0 || u->news != NULL) && triggers_cloned(u))
			return TRIGGER_CLONED;
		if (fds[1].revents != 0 && is_ordered(u))
			return TRIGGER_ORDER;
		if (fds[2].revents != 0 && seed_is_left(u))
			return TRIGGER_SEED;
		fds[2].fd = u->store;
		if (fds[3].revents != 0)
			return TRIGGER_KERNEL;
	}
	return TRIGGER_NONE;
}
