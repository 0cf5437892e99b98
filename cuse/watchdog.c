/* SPDX-License-Identifier: MIT */
#include "cuse/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Of the last question. Loop and thread each try to change ASKED: the first one decides. */
enum question { ANSWERED, ASKED, FIRED };

struct watchdog {
	struct watchdog_config config;
	struct event *asked;      /* question_fd is readable, and the loop turns */
	int question_fd, wake_fd; /* eventfds: to the loop, to the thread */
	pthread_t thread;
	atomic_bool watching, stopping;
	atomic_int question;
};

static void
signal_fd(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* it fails at 2^64 - 1 unread signals only */
}

static bool
end_question(struct watchdog *w, enum question end)
{
	int asked = ASKED;

	return atomic_compare_exchange_strong(&w->question, &asked, end);
}

/* ---- on the watchdog's thread ---- */

/* Waits for a signal to wake_fd; false: there was none in `ms` (-1: no limit). */
static bool
watchdog_woken(const struct watchdog *w, int ms)
{
	struct pollfd wake = {.fd = w->wake_fd, .events = POLLIN};
	int n = poll(&wake, 1, ms);
	uint64_t signals;

	if (n > 0)
		(void)!read(w->wake_fd, &signals, sizeof(signals));
	return n != 0;
}

/* Asks one question and waits for its answer. False: the loop hangs and has been given up. */
static bool
watchdog_ask(struct watchdog *w)
{
	atomic_store(&w->question, ASKED);
	signal_fd(w->question_fd);
	while (!w->stopping && w->question == ASKED && watchdog_woken(w, (int)w->config.limit_ms))
		;
	if (w->stopping || !end_question(w, FIRED))
		return true;
	w->config.abort(w->config.arg);
	return false;
}

static void *
watchdog_run(void *arg)
{
	struct watchdog *w = arg;
	bool turns = true;

	while (turns && !w->stopping) {
		bool woken = watchdog_woken(w, w->watching ? (int)w->config.limit_ms : -1);

		if (!woken)
			turns = watchdog_ask(w);
	}
	return NULL;
}

/* ---- on the loop ---- */

static void
watchdog_answer(evutil_socket_t fd, short events, void *arg)
{
	struct watchdog *w = arg;
	uint64_t questions;

	(void)events;
	if (read(fd, &questions, sizeof(questions)) != sizeof(questions))
		return;
	if (!end_question(w, ANSWERED)) {
		w->config.revived(w->config.arg);
		return;
	}
	if (!w->config.needed(w->config.arg))
		w->watching = false;
	signal_fd(w->wake_fd);
}

void
watchdog_watch(struct watchdog *w)
{
	if (atomic_load_explicit(&w->watching, memory_order_relaxed))
		return;
	w->watching = true;
	signal_fd(w->wake_fd);
}

/* Signals are for the loop: the thread blocks them all. */
static int
watchdog_spawn(struct watchdog *w)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&w->thread, NULL, watchdog_run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static void
watchdog_free(struct watchdog *w)
{
	if (w->asked != NULL)
		event_free(w->asked);
	if (w->question_fd >= 0)
		close(w->question_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	free(w);
}

int
watchdog_start(struct event_base *base, const struct watchdog_config *config, struct watchdog **ret)
{
	struct watchdog *w = calloc(1, sizeof(*w));
	int result = -ENOMEM;

	if (w == NULL)
		return -ENOMEM;
	w->config = *config;
	w->question_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->question_fd >= 0 && w->wake_fd >= 0)
		w->asked =
			event_new(base, w->question_fd, EV_READ | EV_PERSIST, watchdog_answer, w);
	if (w->asked != NULL && event_add(w->asked, NULL) == 0)
		result = watchdog_spawn(w);
	if (result < 0) {
		watchdog_free(w);
		return result;
	}
	*ret = w;
	return 0;
}

void
watchdog_stop(struct watchdog **watchdog)
{
	struct watchdog *w = *watchdog;

	*watchdog = NULL;
	if (w == NULL)
		return;
	w->stopping = true;
	signal_fd(w->wake_fd);
	pthread_join(w->thread, NULL);
	watchdog_free(w);
}
