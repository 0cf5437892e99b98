/* SPDX-License-Identifier: MIT */
#include "cuse/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct watchdog {
	struct watchdog_config config;
	struct event *question; /* question_fd became readable: the loop turns */
	int question_fd;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	atomic_bool watching;
	/* under the mutex */
	bool stopping, answered, fired;
};

/* ---- on the watchdog's thread ---- */

static void
watchdog_deadline(unsigned ms, struct timespec *ret)
{
	clock_gettime(CLOCK_MONOTONIC, ret);
	ret->tv_sec += ms / 1000;
	ret->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ret->tv_nsec >= 1000000000) {
		ret->tv_nsec -= 1000000000;
		ret->tv_sec++;
	}
}

/* Sleeps limit_ms, or less when `*until` becomes true. False: stop. */
static bool
watchdog_sleep(struct watchdog *w, const bool *until)
{
	struct timespec deadline;
	int result = 0;

	watchdog_deadline(w->config.limit_ms, &deadline);
	while (!w->stopping && !*until && result == 0)
		result = pthread_cond_timedwait(&w->changed, &w->mutex, &deadline);
	return !w->stopping;
}

/* One question and its answer. False: stop, or the loop has been given up. */
static bool
watchdog_ask(struct watchdog *w)
{
	const uint64_t one = 1;

	w->answered = false;
	if (write(w->question_fd, &one, sizeof(one)) != sizeof(one) ||
	    !watchdog_sleep(w, &w->answered))
		return false;
	if (w->answered)
		return true;
	w->fired = true;
	w->config.abort(w->config.arg);
	return false;
}

static void *
watchdog_run(void *arg)
{
	static const bool never;
	struct watchdog *w = arg;

	pthread_mutex_lock(&w->mutex);
	for (;;) {
		while (!w->stopping && !atomic_load(&w->watching))
			pthread_cond_wait(&w->changed, &w->mutex);
		if (!watchdog_sleep(w, &never) || !watchdog_ask(w))
			break;
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* ---- on the loop ---- */

static void
watchdog_answer(evutil_socket_t fd, short events, void *arg)
{
	struct watchdog *w = arg;
	uint64_t questions;
	bool fired;

	(void)events;
	if (read(fd, &questions, sizeof(questions)) != sizeof(questions))
		return;
	pthread_mutex_lock(&w->mutex);
	w->answered = true;
	fired = w->fired;
	if (!w->config.needed(w->config.arg))
		atomic_store(&w->watching, false);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	if (fired)
		w->config.revived(w->config.arg);
}

void
watchdog_watch(struct watchdog *w)
{
	if (atomic_load_explicit(&w->watching, memory_order_relaxed))
		return;
	pthread_mutex_lock(&w->mutex);
	atomic_store(&w->watching, true);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mutex);
}

/* Signals are the loop's business: the thread takes none. */
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
	if (w->question != NULL)
		event_free(w->question);
	if (w->question_fd >= 0)
		close(w->question_fd);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

int
watchdog_start(struct event_base *base, const struct watchdog_config *config, struct watchdog **ret)
{
	struct watchdog *w = calloc(1, sizeof(*w));
	pthread_condattr_t monotonic;
	int result = -ENOMEM;

	if (w == NULL)
		return -ENOMEM;
	w->config = *config;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	w->question_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->question_fd >= 0)
		w->question =
			event_new(base, w->question_fd, EV_READ | EV_PERSIST, watchdog_answer, w);
	if (w->question != NULL && event_add(w->question, NULL) == 0)
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
	pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	watchdog_free(w);
}
