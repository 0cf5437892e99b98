/* SPDX-License-Identifier: MIT */
#include "backend/ladder.h"

#include "base/clock.h"

void
ladder_init(struct ladder *l)
{
	*l = (struct ladder){.wait_ms = LADDER_DEVICE_MIN_MS};
}

static enum ladder_step
ladder_climb(struct ladder *l, bool can_reset, uint64_t now_ms)
{
	if (can_reset && now_ms >= l->next_ms) {
		l->in_vain = 0;
		l->next_ms = now_ms + l->wait_ms;
		l->wait_ms =
			clock_longer_wait(l->wait_ms, LADDER_DEVICE_MIN_MS, LADDER_DEVICE_MAX_MS);
		return LADDER_RESET_DEVICE;
	}
	if (l->alarm)
		return LADDER_WAIT;
	l->alarm = true;
	return LADDER_ALARM;
}

enum ladder_step
ladder_in_vain(struct ladder *l, bool can_reset, uint64_t now_ms)
{
	if (++l->in_vain < LADDER_RESETS)
		return LADDER_WAIT;
	return ladder_climb(l, can_reset, now_ms);
}

enum ladder_step
ladder_fault(struct ladder *l, bool can_reset, uint64_t now_ms)
{
	return ladder_climb(l, can_reset, now_ms);
}

bool
ladder_answered(struct ladder *l, uint64_t now_ms)
{
	bool was_alarm = l->alarm;

	ladder_unplugged(l);
	if (now_ms >= l->next_ms)
		l->wait_ms = LADDER_DEVICE_MIN_MS;
	return was_alarm;
}

void
ladder_unplugged(struct ladder *l)
{
	l->in_vain = 0;
	l->alarm = false;
}
