/* SPDX-License-Identifier: MIT */
/* Nothing comes out twice, whatever happens. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "tests/unit/fuse_kernel.h"

struct chaos {
	uint64_t random;
	uint64_t fh[8];
	bool open[8];
	uint64_t unique[8]; /* a read that may be pending there, or 0 */
};

static unsigned
chaos_next(struct chaos *c, unsigned below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (unsigned)(c->random >> 33) % below;
}

/* Reads all answers; opens learn their number, data must be fresh. */
static void
chaos_hear(struct kernel *k, uint64_t open_unique, struct chaos *c, unsigned slot)
{
	struct fuse_open_out out;

	while (kernel_hear(k)) {
		if (open_unique != 0 && k->out->unique == open_unique) {
			assert_int_equal(k->out->error, 0);
			memcpy(&out, k->body, sizeof(out));
			c->fh[slot] = out.fh;
			c->open[slot] = true;
		} else if (k->out->unique != 0 && k->out->error == 0 && k->body_len >= 16 &&
			   k->body_len % 16 == 0 && load_le64(k->body + 8) == ~load_le64(k->body)) {
			assert_fresh(k);
		} else {
			assert_in_set((unsigned long)-k->out->error,
				      ((unsigned long[]){0, EAGAIN, EINTR, -FUSE_NOTIFY_POLL}), 4);
		}
	}
}

static void
chaos_step(struct kernel *k, struct chaos *c)
{
	unsigned slot = chaos_next(c, 8);
	struct fuse_open_in open_in = {.flags = O_RDONLY};
	struct fuse_poll_in poll_in = {.fh = c->fh[slot], .kh = slot + 1, .flags = 1};
	uint64_t opened = 0;
	bool deaf = false;

	if (!c->open[slot]) {
		opened = kernel_ask(k, FUSE_OPEN, &open_in, sizeof(open_in));
	} else {
		switch (chaos_next(c, 10)) {
		case 0:
			kernel_release(k, c->fh[slot]);
			c->open[slot] = false;
			break;
		case 1:
			kernel_interrupt(k, c->unique[slot] != 0 ? c->unique[slot] : 2);
			break;
		case 2:
			kernel_ask(k, FUSE_POLL, &poll_in, sizeof(poll_in));
			break;
		case 3:
			deaf = true; /* what is put now may be granted and lost */
			break;
		default:
			c->unique[slot] = kernel_read(k, c->fh[slot], 16 * (1 + chaos_next(c, 40)),
						      chaos_next(c, 3) == 0 ? O_NONBLOCK : 0);
		}
	}
	chaos_hear(k, opened, c, slot);
	kernel_deaf(k, deaf);
	if (k->position + 512 < KERNEL_STREAM_MAX && pool_room(k->pool) >= 512)
		source_put(k, 16 * chaos_next(c, 12)); /* less than is asked for */
	kernel_deaf(k, false);
	chaos_hear(k, 0, c, slot);
}

static void
nothing_comes_out_twice_whatever_happens(void **state)
{
	struct kernel *k = *state;
	struct chaos c = {.random = 20240229};
	struct pool_totals t;

	print_message("seed %llu\n", (unsigned long long)c.random);
	for (int i = 0; i < 8000; i++)
		chaos_step(k, &c);
	requests_abandon(k->requests);
	pool_totals(k->pool, &t);
	print_message("in %llu delivered %llu lost %llu held %llu\n", (unsigned long long)t.in,
		      (unsigned long long)t.delivered, (unsigned long long)t.lost,
		      (unsigned long long)t.held);
	assert_true(t.delivered > KERNEL_STREAM_MAX / 4 && t.lost > 0);
	assert_int_equal(t.in, t.delivered + t.lost + t.held);
	assert_int_equal(t.waiters, 0);
	assert_int_equal(t.handles, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(nothing_comes_out_twice_whatever_happens),
	};

	return cmocka_run_group_tests_name("device_twice", tests, NULL, NULL);
}
