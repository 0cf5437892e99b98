/* SPDX-License-Identifier: MIT */
/* A path that is waited for, over the transports: it is noticed by the kernel's word, without a
 * timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/transport/transport.h"
#include "tests/unit/folder.h"

struct bench {
	char dir[FOLDER_MAX], path[FOLDER_MAX + 16], other[FOLDER_MAX + 16];
	struct transport_env env;
	const struct transport_kind *kind;
	void *watch;
	unsigned calls;
};

static void
on_appear(void *arg)
{
	((struct bench *)arg)->calls++;
}

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!folder_make(b->dir))
		return -1;
	sprintf(b->path, "%s/key", b->dir);
	sprintf(b->other, "%s/keyboard", b->dir);
	b->env.base = event_base_new();
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	event_base_free((struct event_base *)b->env.base);
	unlink(b->path);
	unlink(b->other);
	rmdir(b->dir);
	free(b);
	return 0;
}

static void
start(struct bench *b, const char *prefix)
{
	char address[FOLDER_MAX + 32];
	const char *where;

	sprintf(address, "%s%s", prefix, b->path);
	b->kind = transport_find(address, &where);
	b->watch = b->kind->watch(&b->env, b->path, on_appear, b);
	b->calls = 0;
	assert_non_null(b->watch);
}

/* Times it was told since the last turn. */
static unsigned
turn(struct bench *b)
{
	unsigned before = b->calls;

	event_base_loop(b->env.base, EVLOOP_NONBLOCK);
	return b->calls - before;
}

static void
make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0);

	assert_true(fd >= 0);
	close(fd);
}

static void
path_that_appears_or_may_be_opened_is_noticed_at_once(void **state)
{
	static const char *const prefixes[] = {"", "unix:"};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		start(b, prefixes[i]);
		assert_int_equal(turn(b), 0);
		make(b->other);
		assert_int_equal(turn(b), 0);
		make(b->path);
		assert_int_equal(turn(b), 1);
		assert_int_equal(chmod(b->path, 0600), 0); /* udev opens the access */
		assert_int_equal(turn(b), 1);
		assert_int_equal(unlink(b->path), 0);
		turn(b);
		assert_int_equal(rename(b->other, b->path), 0);
		assert_int_equal(turn(b), 1);
		assert_int_equal(unlink(b->path), 0);
		b->kind->unwatch(b->watch);
	}
}

static void
directory_that_goes_is_a_reason_to_look(void **state)
{
	struct bench *b = *state;

	start(b, "");
	assert_int_equal(rmdir(b->dir), 0);
	assert_int_equal(turn(b), 1);
	b->kind->unwatch(b->watch);
}

/* Of two other names in turn: the kernel joins equal events. */
static void
lost_events_are_a_reason_to_look(void **state)
{
	struct bench *b = *state;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	char another[FOLDER_MAX + 16];
	unsigned max = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &max), 1);
	fclose(file);
	sprintf(another, "%s/keys", b->dir);
	make(b->other);
	make(another);
	start(b, "");
	for (unsigned i = 0; i <= max / 2; i++) {
		assert_int_equal(chmod(another, 0600), 0);
		assert_int_equal(chmod(b->other, 0600), 0);
	}
	for (unsigned i = 0; b->calls == 0 && i < max; i++)
		turn(b);
	assert_true(b->calls > 0);
	b->kind->unwatch(b->watch);
	unlink(another);
}

static void
directory_that_is_not_there_cannot_be_watched(void **state)
{
	struct bench *b = *state;
	const char *where;
	const struct transport_kind *kind = transport_find("/nowhere/key", &where);

	assert_null(kind->watch(&b->env, "/nowhere/key", on_appear, b));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(path_that_appears_or_may_be_opened_is_noticed_at_once),
		TEST(directory_that_goes_is_a_reason_to_look),
		TEST(lost_events_are_a_reason_to_look),
		TEST(directory_that_is_not_there_cannot_be_watched),
	};

	return cmocka_run_group_tests_name("path_watch", tests, NULL, NULL);
}
