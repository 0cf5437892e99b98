/* SPDX-License-Identifier: MIT */
#include "backend/report.h"

#include <inttypes.h>
#include <string.h>

#define DESCRIPTION_MAX 4096
#define BLOCKS_MANY 1000 /* a dozen rounds of information frames, which follow 78 blocks each */

/* ---- what the key sends ---- */

static void
report_span(struct evbuffer *out, const char *what, const struct census_span *s)
{
	if (s->count == 0)
		evbuffer_add_printf(out, "%s: never\n", what);
	else
		evbuffer_add_printf(out,
				    "%s: last %" PRIu64 ", least %" PRIu64 ", most %" PRIu64
				    ", of %" PRIu64 "\n",
				    what, s->last, s->min, s->max, s->count);
}

static void
report_timings(struct evbuffer *out, const struct census *c)
{
	report_span(out, "reset to S, ms", &c->serial_ms);
	report_span(out, "reset to first k, ms", &c->ask_ms);
	report_span(out, "K to its answer, ms", &c->answer_ms);
	report_span(out, "answer to answer, ms", &c->interval_ms);
	report_span(out, "entropy frames a second", &c->blocks_per_s);
}

static void
report_type(struct evbuffer *out, char type, const struct census_type *t)
{
	if (t->authentic == 0 && t->unverified == 0)
		return;
	evbuffer_add_printf(out, "frames %c: %" PRIu64 " authentic, %" PRIu64 " not verified", type,
			    t->authentic, t->unverified);
	if (t->binary)
		evbuffer_add_printf(out, ", sub-codes %u to %u", t->subcode_min, t->subcode_max);
	evbuffer_add_printf(out, "\n");
}

static void
report_frames(struct evbuffer *out, const struct census *c)
{
	for (size_t i = 0; i < CENSUS_TYPES; i++)
		report_type(out, i == 0 ? '?' : (char)i, &c->types[i]);
	for (size_t i = 0; i < CENSUS_SHAPES && c->shapes[i].count > 0; i++)
		evbuffer_add_printf(out, "text %c, %" PRIu64 " times: %s\n", c->shapes[i].type,
				    c->shapes[i].count, c->shapes[i].text);
	if (c->shapes_more > 0)
		evbuffer_add_printf(out, "texts of other shapes: %" PRIu64 "\n", c->shapes_more);
}

static void
report_counters(struct evbuffer *out, const struct session_counters *c)
{
	evbuffer_add_printf(out, "bytes read %" PRIu64 ", written %" PRIu64 "\n", c->bytes_in,
			    c->bytes_out);
	evbuffer_add_printf(out,
			    "frames: good %" PRIu64 ", bad MAC %" PRIu64 ", malformed %" PRIu64
			    ", replayed %" PRIu64 ", skipped %" PRIu64 ", ignored %" PRIu64 "\n",
			    c->frames_ok, c->frames_bad_mac, c->frames_malformed,
			    c->frames_replayed, c->frames_skipped, c->frames_ignored);
	evbuffer_add_printf(out,
			    "resets %" PRIu64 ", nonces %" PRIu64 ", session keys %" PRIu64
			    ", blocks %" PRIu64 "\n",
			    c->resets, c->nonces, c->rekeys, c->blocks);
}

static void
report_telemetry(struct evbuffer *out, const struct telemetry *t)
{
	if (t->have_temperature)
		evbuffer_add_printf(out, "temperature, K/10: %u\n", t->temp_decikelvin);
	if (t->have_voltage)
		evbuffer_add_printf(out, "voltage, mV: %u\n", t->voltage_mv);
	if (t->have_fips)
		evbuffer_add_printf(out,
				    "FIPS blocks %u, failed %u: monobit %u, poker %u,"
				    " runs %u\n",
				    t->fips_blocks, t->fips_fails, t->fips_monobit, t->fips_poker,
				    t->fips_runs);
	if (t->have_raw)
		evbuffer_add_printf(out,
				    "raw bytes %u, Shannon/100: left %u, right %u, xor %u;"
				    " debiased left %u bytes %u, right %u bytes %u; badness %c\n",
				    t->raw_bytes, t->shannon_left_centi, t->shannon_right_centi,
				    t->shannon_xor_centi, t->debiased_left_bytes,
				    t->debiased_left_shannon_centi, t->debiased_right_bytes,
				    t->debiased_right_shannon_centi, t->badness);
}

/* ---- what a key should show ---- */

/* A pause of the reader may spoil some of the measurements, and hardly all. */
static bool
is_outside(const struct census_span *s, uint64_t least, uint64_t most)
{
	return s->count > 0 && (s->max < least || s->min > most);
}

static bool
has_subcodes(const struct source_status *s, char type, unsigned least, unsigned most)
{
	const struct census_type *t = &s->ekey.census->types[(size_t)type];

	return !t->binary || (t->subcode_min == least && t->subcode_max <= most);
}

/* A value of the information frames, which `blocks` entropy frames have come with. */
static bool
is_wrong(bool have, uint64_t value, uint64_t least, uint64_t most, uint64_t blocks)
{
	return have ? value < least || value > most : blocks >= BLOCKS_MANY;
}

/* "": not on USB. */
static bool
differs_usb(const char *description)
{
	static const char *const parts[] = {
		" at 12 Mbit/s: \"Simtec Electronics\", \"Entropy Key\"\n",
		"device 20df:0001 ",
		" 2 interfaces, ",
		" 76 mA\n",
		"endpoint 03: bulk, packets 64 bytes",
		"endpoint 81: bulk, packets 64 bytes"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (description[0] != '\0' && strstr(description, parts[i]) == NULL)
			return true;
	return false;
}

static bool
differs_state(const struct source_status *s)
{
	return !s->serves;
}

/* A key makes a block of 78 frames in 0.9 s, and 4,096 frames in 48 s. */
static bool
differs_ask(const struct source_status *s)
{
	return is_outside(&s->ekey.census->ask_ms, 0, 2000);
}

static bool
differs_interval(const struct source_status *s)
{
	return is_outside(&s->ekey.census->interval_ms, 40000, 60000);
}

static bool
differs_rate(const struct source_status *s)
{
	return is_outside(&s->ekey.census->blocks_per_s, 70, 100);
}

static bool
differs_types(const struct source_status *s)
{
	const struct census_type *t = s->ekey.census->types;

	for (size_t i = 0; i < CENSUS_TYPES; i++)
		if (t[i].authentic + t[i].unverified > 0 &&
		    (i == 0 || strchr("SIWEkKMLlB", (int)i) == NULL))
			return true;
	return false;
}

/* The protocol's version, our nonce's length, the sequence. */
static bool
differs_subcodes(const struct source_status *s)
{
	return !has_subcodes(s, 'S', 0, 0) ||
	       !has_subcodes(s, 'K', SESSION_NONCE_LEN, SESSION_NONCE_LEN) ||
	       !has_subcodes(s, 'E', 0, 4095);
}

static bool
differs_frames(const struct source_status *s)
{
	const struct session_counters *c = &s->ekey.session;

	return c->frames_malformed > 0 || c->frames_replayed > 0 ||
	       c->frames_bad_mac > c->frames_ok / 100;
}

/* 0 to 80 degrees C. */
static bool
differs_temperature(const struct source_status *s)
{
	const struct telemetry *t = &s->ekey.telemetry;

	return is_wrong(t->have_temperature, t->temp_decikelvin, 2730, 3530,
			s->ekey.session.blocks);
}

/* Of a chip that takes 3.3 V. */
static bool
differs_voltage(const struct source_status *s)
{
	const struct telemetry *t = &s->ekey.telemetry;

	return is_wrong(t->have_voltage, t->voltage_mv, 3000, 3600, s->ekey.session.blocks);
}

static bool
differs_self_tests(const struct source_status *s)
{
	const struct telemetry *t = &s->ekey.telemetry;

	return s->intake.alarms > 0 ||
	       is_wrong(t->have_fips && t->have_raw, (uint8_t)t->badness, TELEMETRY_BADNESS_OK,
			TELEMETRY_BADNESS_OK, s->ekey.session.blocks);
}

static const struct {
	const char *what;
	bool (*differs)(const struct source_status *s);
} facts[] = {
	{"state", differs_state},
	{"reset to first k", differs_ask},
	{"answer to answer", differs_interval},
	{"entropy frames a second", differs_rate},
	{"types of frames", differs_types},
	{"sub-codes", differs_subcodes},
	{"frames that are not good", differs_frames},
	{"temperature", differs_temperature},
	{"voltage", differs_voltage},
	{"self-tests", differs_self_tests},
};

void
report_compare(struct evbuffer *out, const struct source_status *s, const char *description)
{
	bool usb = differs_usb(description), any = usb;

	evbuffer_add_printf(out, "compared with what a key should show:%s",
			    usb ? " differs in USB descriptors" : "");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (!facts[i].differs(s))
			continue;
		evbuffer_add_printf(out, "%s %s", any ? "," : " differs in", facts[i].what);
		any = true;
	}
	evbuffer_add_printf(out, "%s\n", any ? "" : " as expected");
}

/* ---- the whole ---- */

void
report_write(struct evbuffer *out, const struct source *source)
{
	char description[DESCRIPTION_MAX] = "";
	struct source_status s;

	source_status(source, &s);
	source_describe(source, description, sizeof(description));
	evbuffer_add_printf(out, "key %s\ntransport %s, opened %" PRIu64 " times\n",
			    s.ekey.serial[0] != '\0' ? s.ekey.serial : "(unknown)", s.address,
			    s.connects);
	evbuffer_add_printf(out, "state: %s%s\n", s.state, s.paused ? " (pool full)" : "");
	evbuffer_add_printf(out, "%s", description);
	report_timings(out, s.ekey.census);
	report_frames(out, s.ekey.census);
	report_counters(out, &s.ekey.session);
	report_telemetry(out, &s.ekey.telemetry);
	evbuffer_add_printf(out, "health: %s, %" PRIu64 " alarms\n", intake_state_text(s.health),
			    s.intake.alarms);
	report_compare(out, &s, description);
}
