/* SPDX-License-Identifier: MIT */
/*
 * What to do about a key that does not answer, rung by rung: the session resets it and tries again
 * (its own pace), then the USB device is reset, then somebody has to unplug it. Pure; told of every
 * reset of the session that brought nothing, and of every answer.
 */
#ifndef BACKEND_LADDER_H
#define BACKEND_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#define LADDER_RESETS 3            /* of the session, in vain, before each further step */
#define LADDER_DEVICE_MIN_MS 60000 /* between two resets of the device; doubles up to... */
#define LADDER_DEVICE_MAX_MS 3600000

enum ladder_step {
	LADDER_WAIT,         /* the session goes on by itself */
	LADDER_RESET_DEVICE, /* do it now: the pace allows it, with an alarm or without */
	LADDER_ALARM,        /* say that the key must be unplugged; once, and try on */
};

struct ladder {
	unsigned in_vain; /* resets of the session since that of the device, or an answer */
	bool alarm;       /* said, and no answer since */
	uint64_t next_ms; /* no reset of the device before */
	uint64_t wait_ms; /* after the next one */
};

void ladder_init(struct ladder *l);

/* A reset of the session was in vain. `can_reset`: there is a device to reset. */
enum ladder_step ladder_in_vain(struct ladder *l, bool can_reset, uint64_t now_ms);

/* The transport gave the key up for a fault: worth LADDER_RESETS of those. */
enum ladder_step ladder_fault(struct ladder *l, bool can_reset, uint64_t now_ms);

/*
 * The key answered; told again and again while it does. A key that needs the next reset before it
 * may have it is no better for the last one: only who answers after that time starts from the
 * bottom. True when that ends an alarm.
 */
bool ladder_answered(struct ladder *l, uint64_t now_ms);

/* It was unplugged: the cure was applied. The pace of resets stays, they may be its cause. */
void ladder_unplugged(struct ladder *l);

#endif
