/* SPDX-License-Identifier: MIT */
#include "tests/unit/session_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct host h;

int
rig_set_up(void **unused)
{
	(void)unused;
	host_init(&h);
	return 0;
}

int
rig_tear_down(void **unused)
{
	(void)unused;
	host_finish(&h);
	return 0;
}

const struct session_counters *
counted(void)
{
	return &h.session->counters;
}

void
assert_state(enum session_state state)
{
	assert_string_equal(session_state_text(session_state(h.session)),
			    session_state_text(state));
}

void
assert_still_keyed(void)
{
	uint64_t resets = counted()->resets, index = h.device.next_block;

	host_feed_entropy(&h);
	assert_state(SESSION_KEYED);
	assert_int_equal(h.blocks[h.blocks_len - 1], index);
	assert_int_equal(counted()->resets, resets);
	host_forget(&h);
}

void
feed_damaged(void)
{
	uint8_t frame[FRAME_LEN];

	device_entropy(&h.device, frame);
	frame[20] ^= 1;
	host_feed(&h, frame, sizeof(frame));
}
