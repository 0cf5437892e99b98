/* SPDX-License-Identifier: MIT */
/* The watchdog's whole subject is time: these tests wait for what must happen, never for a while.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "cuse/watchdog.h"

#define HANG_LIMIT_MS 20   /* short: here the loop does hang */
#define CALM_LIMIT_MS 1000 /* long: here it must not seem to, on the slowest machine */
#define PATIENCE_S 20

struct scene {
	struct event_base *base;
	sem_t aborted;
	int questions, needed_for, revived;
};

static bool
needed(void *arg)
{
	struct scene *s = arg;

	if (++s->questions >= s->needed_for)
		event_base_loopbreak(s->base);
	return s->questions < s->needed_for;
}

static void
aborted(void *arg)
{
	struct scene *s = arg;

	sem_post(&s->aborted);
}

static void
revived(void *arg)
{
	struct scene *s = arg;

	s->revived++;
}

static struct watchdog *
scene_start(struct scene *s, unsigned limit_ms)
{
	const struct watchdog_config config = {.limit_ms = limit_ms,
					       .needed = needed,
					       .abort = aborted,
					       .revived = revived,
					       .arg = s};
	struct watchdog *w = NULL;

	s->base = event_base_new();
	sem_init(&s->aborted, 0, 0);
	assert_int_equal(watchdog_start(s->base, &config, &w), 0);
	return w;
}

static void
scene_end(struct scene *s, struct watchdog **w)
{
	watchdog_stop(w);
	assert_null(*w);
	sem_destroy(&s->aborted);
	event_base_free(s->base);
}

static void
gives_up_a_loop_that_does_not_turn(void **state)
{
	struct scene s = {.needed_for = 2};
	struct watchdog *w = scene_start(&s, HANG_LIMIT_MS);
	struct timespec patience;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &patience);
	patience.tv_sec += PATIENCE_S;
	watchdog_watch(w);
	assert_int_equal(sem_timedwait(&s.aborted, &patience), 0);
	assert_int_equal(s.revived, 0);
	event_base_loop(s.base, EVLOOP_NONBLOCK);
	assert_int_equal(s.revived, 1);
	scene_end(&s, &w);
}

static void
asks_a_turning_loop_and_leaves_it_alone(void **state)
{
	struct scene s = {.needed_for = 2};
	struct watchdog *w = scene_start(&s, CALM_LIMIT_MS);
	struct timeval patience = {PATIENCE_S, 0};

	(void)state;
	watchdog_watch(w);
	event_base_loopexit(s.base, &patience);
	event_base_dispatch(s.base);
	assert_int_equal(s.questions, 2);
	assert_int_not_equal(sem_trywait(&s.aborted), 0);
	assert_int_equal(s.revived, 0);
	scene_end(&s, &w);
}

static void
stops_in_every_state(void **state)
{
	(void)state;
	for (int watching = 0; watching < 2; watching++) {
		struct scene s = {.needed_for = 1};
		struct watchdog *w = scene_start(&s, CALM_LIMIT_MS);

		if (watching)
			watchdog_watch(w);
		scene_end(&s, &w);
		assert_int_equal(s.questions, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_up_a_loop_that_does_not_turn),
		cmocka_unit_test(asks_a_turning_loop_and_leaves_it_alone),
		cmocka_unit_test(stops_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
