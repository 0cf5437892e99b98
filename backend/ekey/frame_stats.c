/* SPDX-License-Identifier: MIT */
#include "backend/ekey/frame_stats.h"

#include <string.h>

#include "backend/ekey/pem64.h"

#define NEVER UINT64_MAX
#define SECOND_MS 1000

/* ---- measurements ---- */

static void
span_add(struct frame_stats_span *s, uint64_t value)
{
	if (s->count == 0 || value < s->min)
		s->min = value;
	if (s->count == 0 || value > s->max)
		s->max = value;
	s->last = value;
	s->count++;
}

/* Ends the measurement that began at *from_ms, if there is one. */
static void
span_end(struct frame_stats_span *s, uint64_t *from_ms, uint64_t now_ms)
{
	if (*from_ms != NEVER)
		span_add(s, now_ms - *from_ms);
	*from_ms = NEVER;
}

static void
count_block(struct frame_stats *c, uint64_t now_ms)
{
	if (c->second_at_ms == NEVER) {
		c->second_at_ms = now_ms;
		c->second_blocks = 0;
	}
	if (now_ms - c->second_at_ms >= SECOND_MS) {
		span_add(&c->blocks_per_s,
			 c->second_blocks * SECOND_MS / (now_ms - c->second_at_ms));
		c->second_at_ms = now_ms;
		c->second_blocks = 0;
	}
	c->second_blocks++;
}

static void
measure(struct frame_stats *c, char type, uint64_t now_ms)
{
	switch (type) {
	case 'S':
		span_end(&c->serial_ms, &c->reset_at_ms, now_ms);
		break;
	case 'k':
		span_end(&c->ask_ms, &c->ask_from_ms, now_ms);
		break;
	case 'K':
		span_end(&c->answer_ms, &c->nonce_at_ms, now_ms);
		span_end(&c->interval_ms, &c->answer_at_ms, now_ms);
		c->answer_at_ms = now_ms;
		break;
	case 'E':
		count_block(c, now_ms);
		break;
	}
}

/* ---- forms ---- */

/* The form of a character; `first`: it begins a word. */
static char
shape_of(uint8_t c, bool first)
{
	if (c >= '0' && c <= '9')
		return '9';
	if (c >= 'A' && c <= 'Z')
		return first ? (char)c : 'A';
	if (c >= 'a' && c <= 'z')
		return first ? (char)c : 'a';
	return c == ' ' || c == ':' || c == '.' || c == ',' || c == '-' ? (char)c : '?';
}

static void
add_shape(struct frame_stats *c, char type, const char *text)
{
	for (size_t i = 0; i < FRAME_STATS_SHAPES; i++) {
		struct frame_stats_shape *s = &c->shapes[i];

		if (s->count == 0) {
			s->type = type;
			memcpy(s->text, text, sizeof(s->text));
		}
		if (s->type == type && memcmp(s->text, text, sizeof(s->text)) == 0) {
			s->count++;
			return;
		}
	}
	c->shapes_more++;
}

static void
note_text(struct frame_stats *c, const uint8_t *frame)
{
	char text[PACKET_TEXT_LEN + 1] = "";
	uint8_t before = ' ';

	for (size_t i = 0; i < PACKET_TEXT_LEN; i++) {
		text[i] = shape_of(frame[FRAME_TEXT_AT + i], before == ' ');
		before = frame[FRAME_TEXT_AT + i];
	}
	for (size_t len = PACKET_TEXT_LEN; len > 0 && text[len - 1] == ' '; len--)
		text[len - 1] = '\0';
	add_shape(c, (char)frame[FRAME_TYPE_AT], text);
}

static void
note_subcode(struct frame_stats_type *t, const uint8_t *frame)
{
	unsigned subcode;

	if (!pem64_subcode_decode((const char *)frame + FRAME_SUBCODE_AT, &subcode))
		return;
	if (!t->binary || subcode < t->subcode_min)
		t->subcode_min = (uint16_t)subcode;
	if (!t->binary || subcode > t->subcode_max)
		t->subcode_max = (uint16_t)subcode;
	t->binary = true;
}

/* ---- events ---- */

void
frame_stats_init(struct frame_stats *c)
{
	*c = (struct frame_stats){0};
	frame_stats_pause(c);
}

void
frame_stats_pause(struct frame_stats *c)
{
	c->reset_at_ms = c->ask_from_ms = c->nonce_at_ms = NEVER;
	c->answer_at_ms = c->second_at_ms = NEVER;
}

void
frame_stats_reset(struct frame_stats *c, uint64_t now_ms)
{
	frame_stats_pause(c);
	c->reset_at_ms = c->ask_from_ms = now_ms;
}

void
frame_stats_nonce(struct frame_stats *c, uint64_t now_ms)
{
	c->nonce_at_ms = now_ms;
}

void
frame_stats_frame(struct frame_stats *c, const uint8_t frame[static FRAME_LEN], bool authentic,
		  uint64_t now_ms)
{
	uint8_t byte = frame[FRAME_TYPE_AT];
	char type = byte > ' ' && byte < FRAME_STATS_TYPES - 1 ? (char)byte : '\0';
	struct frame_stats_type *t = &c->types[(uint8_t)type];

	if (!authentic) {
		t->unverified++;
		return;
	}
	t->authentic++;
	measure(c, type, now_ms);
	if (frame[FRAME_CLASS_AT] == '>')
		note_text(c, frame);
	else
		note_subcode(t, frame);
}
