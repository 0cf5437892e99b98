/* SPDX-License-Identifier: MIT */
#include "backend/recovery.h"

#include "lib/clock.h"

void
recovery_init(struct recovery *l)
{
	*l = (struct recovery){.wait_ms = RECOVERY_DEVICE_MIN_MS};
}

static enum recovery_step
recovery_climb(struct recovery *l, bool can_reset, uint64_t now_ms)
{
	if (can_reset && now_ms >= l->next_ms) {
		l->in_vain = 0;
		l->next_ms = now_ms + l->wait_ms;
		l->wait_ms = clock_longer_wait(l->wait_ms, RECOVERY_DEVICE_MIN_MS,
					       RECOVERY_DEVICE_MAX_MS);
		return RECOVERY_RESET_DEVICE;
	}
	if (l->alarm)
		return RECOVERY_WAIT;
	l->alarm = true;
	return RECOVERY_ALARM;
}

enum recovery_step
recovery_in_vain(struct recovery *l, bool can_reset, uint64_t now_ms)
{
	if (++l->in_vain < RECOVERY_RESETS)
		return RECOVERY_WAIT;
	return recovery_climb(l, can_reset, now_ms);
}

enum recovery_step
recovery_fault(struct recovery *l, bool can_reset, uint64_t now_ms)
{
	return recovery_climb(l, can_reset, now_ms);
}

bool
recovery_answered(struct recovery *l, uint64_t now_ms)
{
	bool was_alarm = l->alarm;

	recovery_unplugged(l);
	if (now_ms >= l->next_ms)
		l->wait_ms = RECOVERY_DEVICE_MIN_MS;
	return was_alarm;
}

void
recovery_unplugged(struct recovery *l)
{
	l->in_vain = 0;
	l->alarm = false;
}
