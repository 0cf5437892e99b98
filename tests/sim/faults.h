/* SPDX-License-Identifier: MIT */
/*
 * What can go wrong between a key and its host, on order: each fault has one setting, is drawn from
 * one seed, and is counted. The engine asks about its own (skip, wrong serial, ...); those of the
 * wire are applied to every frame on its way out.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/frames.h"

enum fault {
	/* Of the wire; setting: every so many frames. At most one of the first three hits a frame.
	 */
	FAULT_BAD_MAC,
	FAULT_DROP,      /* a byte of the frame is missing */
	FAULT_FLIP,      /* a bit of it is wrong */
	FAULT_GARBAGE,   /* up to FAULTS_GARBAGE_MAX random bytes before it */
	FAULT_REPLAY,    /* one of the entropy frames before the last follows it once more */
	FAULT_DUPLICATE, /* the last entropy frame follows it once more */
	/* Of the wire; setting: after so many frames. */
	FAULT_HANG,  /* nothing is ever sent again */
	FAULT_CLOSE, /* unplugged, and plugged in again */
	/* Of the device; setting: every so many entropy frames. */
	FAULT_SKIP, /* a sequence number is left out */
	/* Of the device; setting: the first so many times. */
	FAULT_WRONG_SERIAL,
	FAULT_NO_KEY_ANSWER,
	FAULT_BAD_KEY_LENGTH,
	FAULT_NO_LT_ANSWER, /* the long-term key changes, and nobody is told */
	FAULT_LT_LOCKED,
	/* Of the device; setting: so many frames of the old session after each reset. */
	FAULT_STALE,
	/* Of the device; setting: so many frames, S and then k, that wait since it was powered. */
	FAULT_WAITING,
	/* Of the USB; setting: every so many bulk IN packets. */
	FAULT_USB_STALL, /* the endpoint is halted until the host clears it */
	FAULT_USB_EPROTO,
	FAULT_USB_OVERFLOW,
	FAULT_USB_ZERO,  /* an empty packet before it */
	FAULT_USB_SHORT, /* the packet is cut in two */
	/* Of the USB; setting: after so many packets, once, no more until the host resets the
	   device. */
	FAULT_USB_NAK,
	FAULT_USB_DEAD, /* the firmware answers nothing until it is plugged in again */
	/* Of the USB; setting: after so many bytes, wherever in a frame that is. */
	FAULT_USB_UNPLUG,
	FAULT_KINDS
};

#define FAULTS_STALE_MAX 16
#define FAULTS_WAITING_MAX 1000 /* all are made before the first command is taken */
#define FAULTS_GARBAGE_MAX 40
#define FAULTS_HISTORY 8 /* entropy frames that a replay can choose from */
/* What one frame can become: garbage, itself, a replay and a duplicate. */
#define FAULTS_ROOM (FAULTS_GARBAGE_MAX + 3 * FRAMES_LEN)

struct faults {
	uint64_t setting[FAULT_KINDS]; /* 0: never */
	uint64_t seen[FAULT_KINDS];    /* occasions */
	uint64_t done[FAULT_KINDS];    /* faults made */
	uint64_t frames;               /* passed since plugged in */
	uint64_t blocks_damaged;       /* entropy frames among those that became unreadable */
	uint64_t random;               /* state; its first value is the seed */
	bool wire;                     /* some setting of the wire is on */
	size_t history_len;            /* entropy frames ever remembered */
	uint8_t history[FAULTS_HISTORY][FRAMES_LEN];
};

/* `settings` by enum fault. */
void faults_init(struct faults *f, const uint64_t settings[static FAULT_KINDS], uint64_t seed);

/* Is this occasion the N-th (setting: every)? Counts it. */
bool faults_every(struct faults *f, enum fault kind);

/* Is this occasion one of the first N (setting: times)? Counts it. */
bool faults_first(struct faults *f, enum fault kind);

/* Is this occasion the first after N others (setting: after)? Counts it. */
bool faults_after(struct faults *f, enum fault kind);

/* A number below `limit`, which is small and not 0. */
size_t faults_draw(struct faults *f, size_t limit);

/*
 * The frame at `at` goes out: leaves there what the wire makes of it and returns how many bytes
 * that are, at most FAULTS_ROOM. Not to be called while hanging or closing.
 */
size_t faults_pass(struct faults *f, uint8_t *at);

/* No frame may pass: never again, or not before faults_replug(). */
bool faults_hanging(const struct faults *f);
bool faults_closing(const struct faults *f);

/* Closed and open again: counts the close. */
void faults_replug(struct faults *f);

/* The short name of a fault in the counters' line. */
const char *faults_name(enum fault kind);

#endif
