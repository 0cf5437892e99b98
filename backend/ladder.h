/* SPDX-License-Identifier: MIT */
/*
 * The recovery of a key that does not answer, step by step: the session resets the key and retries
 * at its own pace, then the USB device is reset, then its owner has to unplug it. Pure; its input
 * are the session's resets without an answer, and the answers.
 */
#ifndef BACKEND_LADDER_H
#define BACKEND_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#define LADDER_RESETS 3            /* of the session, without an answer, before each further step */
#define LADDER_DEVICE_MIN_MS 60000 /* between two resets of the device; doubles up to... */
#define LADDER_DEVICE_MAX_MS 3600000

enum ladder_step {
	LADDER_WAIT,         /* the session retries by itself */
	LADDER_RESET_DEVICE, /* now: the pace allows it, with an alarm or without */
	LADDER_ALARM,        /* log that the key must be unplugged; once, and retry */
};

struct ladder {
	unsigned in_vain; /* resets of the session since that of the device, or an answer */
	bool alarm;       /* logged, and no answer since */
	uint64_t next_ms; /* no reset of the device before */
	uint64_t wait_ms; /* after the next one */
};

void ladder_init(struct ladder *l);

/* A reset of the session had no answer. `can_reset`: the device can be reset. */
enum ladder_step ladder_in_vain(struct ladder *l, bool can_reset, uint64_t now_ms);

/* The transport gave the key up for a fault, which counts as LADDER_RESETS of those. */
enum ladder_step ladder_fault(struct ladder *l, bool can_reset, uint64_t now_ms);

/*
 * The key answered; called at each answer. A key that needs the next reset before the pace allows
 * it was not cured by the last: only an answer after that time starts the pace from the
 * bottom. True when the answer ends an alarm.
 */
bool ladder_answered(struct ladder *l, uint64_t now_ms);

/* The key was unplugged, which is the cure. The pace of resets stays: they may be the cause. */
void ladder_unplugged(struct ladder *l);

#endif
