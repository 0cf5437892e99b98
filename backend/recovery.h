/* SPDX-License-Identifier: MIT */
/*
 * The recovery of a key that does not answer, step by step: the session resets the key and retries
 * at its own pace, then the USB device is reset, then its owner has to unplug it. Pure; its input
 * are the session's resets without an answer, and the answers.
 */
#ifndef BACKEND_RECOVERY_H
#define BACKEND_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#define RECOVERY_RESETS 3 /* of the session, without an answer, before each further step */
#define RECOVERY_DEVICE_MIN_MS 60000 /* between two resets of the device; doubles up to... */
#define RECOVERY_DEVICE_MAX_MS 3600000

enum recovery_step {
	RECOVERY_WAIT,         /* the session retries by itself */
	RECOVERY_RESET_DEVICE, /* now: the pace allows it, with an alarm or without */
	RECOVERY_ALARM,        /* log that the key must be unplugged; once, and retry */
};

struct recovery {
	unsigned in_vain; /* resets of the session since that of the device, or an answer */
	bool alarm;       /* logged, and no answer since */
	uint64_t next_ms; /* no reset of the device before */
	uint64_t wait_ms; /* after the next one */
};

void recovery_init(struct recovery *l);

/* A reset of the session had no answer. `can_reset`: the device can be reset. */
enum recovery_step recovery_in_vain(struct recovery *l, bool can_reset, uint64_t now_ms);

/* The transport gave the key up for a fault, which counts as RECOVERY_RESETS of those. */
enum recovery_step recovery_fault(struct recovery *l, bool can_reset, uint64_t now_ms);

/*
 * The key answered; called at each answer. A key that needs the next reset before the pace allows
 * it was not cured by the last: only an answer after that time starts the pace from the
 * bottom. True when the answer ends an alarm.
 */
bool recovery_answered(struct recovery *l, uint64_t now_ms);

/* The key was unplugged, which is the cure. The pace of resets stays: they may be the cause. */
void recovery_unplugged(struct recovery *l);

#endif
