/* SPDX-License-Identifier: MIT */
#include "tests/sim/faults.h"

#include <string.h>

#define TYPE_AT 2
#define MAC_AT 54
#define MAC_LEN 8

void
faults_init(struct faults *f, const uint64_t settings[static FAULT_KINDS], uint64_t seed)
{
	*f = (struct faults){.random = seed};
	memcpy(f->setting, settings, sizeof(f->setting));
	for (int kind = FAULT_BAD_MAC; kind <= FAULT_CLOSE; kind++)
		f->wire |= f->setting[kind] != 0;
}

/* SplitMix64: small, and the same on every machine. */
size_t
faults_draw(struct faults *f, size_t limit)
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % limit);
}

bool
faults_every(struct faults *f, enum fault kind)
{
	bool due = f->setting[kind] != 0 && ++f->seen[kind] % f->setting[kind] == 0;

	f->done[kind] += due;
	return due;
}

bool
faults_first(struct faults *f, enum fault kind)
{
	bool due = f->seen[kind] < f->setting[kind];

	f->seen[kind]++;
	f->done[kind] += due;
	return due;
}

bool
faults_after(struct faults *f, enum fault kind)
{
	bool due = f->setting[kind] != 0 && f->seen[kind]++ == f->setting[kind];

	f->done[kind] += due;
	return due;
}

bool
faults_hanging(const struct faults *f)
{
	return f->done[FAULT_HANG] > 0;
}

bool
faults_closing(const struct faults *f)
{
	return f->setting[FAULT_CLOSE] != 0 && f->frames >= f->setting[FAULT_CLOSE];
}

void
faults_replug(struct faults *f)
{
	f->frames = 0;
	f->done[FAULT_CLOSE]++;
}

static size_t
faults_garbage(struct faults *f, uint8_t *at)
{
	size_t len = 1 + faults_draw(f, FAULTS_GARBAGE_MAX);

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)faults_draw(f, 256);
	return len;
}

/* Makes the frame unreadable in one of three ways; returns its new length. */
static size_t
faults_damage(struct faults *f, uint8_t *frame, bool *ret_damaged)
{
	bool mac = faults_every(f, FAULT_BAD_MAC), drop = !mac && faults_every(f, FAULT_DROP);
	bool flip = !mac && !drop && faults_every(f, FAULT_FLIP);
	size_t at = faults_draw(f, FRAMES_LEN);

	*ret_damaged = mac || drop || flip;
	if (mac) {
		at = MAC_AT + at % MAC_LEN;
		frame[at] = frame[at] == 'A' ? 'B' : 'A';
	}
	if (flip)
		frame[at] ^= (uint8_t)(1 << faults_draw(f, 8));
	if (!drop)
		return FRAMES_LEN;
	memmove(frame + at, frame + at + 1, FRAMES_LEN - at - 1);
	return FRAMES_LEN - 1;
}

/* Sends again the entropy frame that is `back` frames old (0: the last), if there is one. */
static size_t
faults_repeat(struct faults *f, enum fault kind, size_t back, uint8_t *at)
{
	if (back >= f->history_len || !faults_every(f, kind))
		return 0;
	memcpy(at, f->history[(f->history_len - 1 - back) % FAULTS_HISTORY], FRAMES_LEN);
	return FRAMES_LEN;
}

/* Only frames that arrived whole are remembered: sent again, they must not be accepted again. */
static void
faults_remember(struct faults *f, const uint8_t *frame)
{
	memcpy(f->history[f->history_len++ % FAULTS_HISTORY], frame, FRAMES_LEN);
}

static size_t
faults_on_wire(struct faults *f, uint8_t *at)
{
	uint8_t frame[FRAMES_LEN];
	size_t used = 0, len;
	bool damaged, entropy = at[TYPE_AT] == 'E';

	memcpy(frame, at, sizeof(frame));
	if (faults_every(f, FAULT_GARBAGE))
		used += faults_garbage(f, at);
	len = faults_damage(f, frame, &damaged);
	memcpy(at + used, frame, len);
	used += len;
	f->blocks_damaged += damaged && entropy;
	if (entropy && !damaged)
		faults_remember(f, frame);
	used += faults_repeat(f, FAULT_REPLAY, 1 + faults_draw(f, FAULTS_HISTORY - 1), at + used);
	used += faults_repeat(f, FAULT_DUPLICATE, 0, at + used);
	return used;
}

size_t
faults_pass(struct faults *f, uint8_t *at)
{
	f->frames++;
	if (!f->wire)
		return FRAMES_LEN;
	f->done[FAULT_HANG] |= f->frames == f->setting[FAULT_HANG];
	return faults_on_wire(f, at);
}

const char *
faults_name(enum fault kind)
{
	static const char *const names[FAULT_KINDS] = {
		[FAULT_BAD_MAC] = "bad_macs",
		[FAULT_DROP] = "dropped_bytes",
		[FAULT_FLIP] = "flipped_bits",
		[FAULT_GARBAGE] = "garbage",
		[FAULT_REPLAY] = "replayed",
		[FAULT_DUPLICATE] = "duplicated",
		[FAULT_HANG] = "hung",
		[FAULT_CLOSE] = "closed",
		[FAULT_SKIP] = "skipped",
		[FAULT_WRONG_SERIAL] = "wrong_serials",
		[FAULT_NO_KEY_ANSWER] = "unanswered_nonces",
		[FAULT_BAD_KEY_LENGTH] = "bad_key_lengths",
		[FAULT_NO_LT_ANSWER] = "no_lt_answers",
		[FAULT_LT_LOCKED] = "lt_locked",
		[FAULT_STALE] = "stale_frames",
		[FAULT_WAITING] = "waiting_frames",
		[FAULT_USB_STALL] = "usb_stalls",
		[FAULT_USB_EPROTO] = "usb_eprotos",
		[FAULT_USB_OVERFLOW] = "usb_overflows",
		[FAULT_USB_ZERO] = "usb_zero_packets",
		[FAULT_USB_SHORT] = "usb_short_packets",
		[FAULT_USB_NAK] = "usb_mutes",
		[FAULT_USB_DEAD] = "usb_deaths",
		[FAULT_USB_UNPLUG] = "unplugged",
	};

	return names[kind];
}
