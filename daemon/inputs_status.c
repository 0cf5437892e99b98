/* SPDX-License-Identifier: MIT */
/* The rows of the sources, for daemon/status.h. */
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "daemon/row.h"

static void
session_rows(const struct row_subject *s, const struct session_counters *c)
{
	row_number(s, "read_bytes", c->bytes_in);
	row_number(s, "written_bytes", c->bytes_out);
	row_number(s, "frames_ok", c->frames_ok);
	row_number(s, "frames_bad_mac", c->frames_bad_mac);
	row_number(s, "frames_malformed", c->frames_malformed);
	row_number(s, "frames_replayed", c->frames_replayed);
	row_number(s, "frames_skipped", c->frames_skipped);
	row_number(s, "frames_ignored", c->frames_ignored);
	row_number(s, "blocks", c->blocks);
	row_number(s, "nonces", c->nonces);
	row_number(s, "rekeys", c->rekeys);
	row_number(s, "resets", c->resets);
}

static void
intake_rows(const struct row_subject *s, const struct source_status *status)
{
	row_text(s, "health", intake_state_text(status->health));
	row_text(s, "health_cause", intake_cause_text(status->cause));
	row_number(s, "health_alarms", status->intake.alarms);
	row_number(s, "in", status->intake.in);
	row_number(s, "pooled", status->intake.pooled);
	row_number(s, "rejected", status->intake.rejected);
	row_number(s, "held", status->intake.held);
}

/* Figures that the key has not told yet are left out. */
static void
telemetry_rows(const struct row_subject *s, const struct telemetry *t)
{
	if (t->have_temperature)
		row_number(s, "temperature_decikelvin", t->temp_decikelvin);
	if (t->have_voltage)
		row_number(s, "voltage_mv", t->voltage_mv);
	if (t->have_fips) {
		row_number(s, "fips_blocks", t->fips_blocks);
		row_number(s, "fips_fails", t->fips_fails);
		row_number(s, "fips_monobit_fails", t->fips_monobit);
		row_number(s, "fips_poker_fails", t->fips_poker);
		row_number(s, "fips_runs_fails", t->fips_runs);
	}
}

static void
raw_telemetry_rows(const struct row_subject *s, const struct telemetry *t)
{
	if (!t->have_raw)
		return;
	row_text(s, "badness", (const char[]){t->badness, '\0'});
	row_text(s, "badness_text", telemetry_badness_text(t->badness));
	row_number(s, "raw_bytes", t->raw_bytes);
	row_number(s, "raw_left_shannon_centibits", t->shannon_left_centi);
	row_number(s, "raw_right_shannon_centibits", t->shannon_right_centi);
	row_number(s, "raw_xor_shannon_centibits", t->shannon_xor_centi);
	row_number(s, "debiased_left_bytes", t->debiased_left_bytes);
	row_number(s, "debiased_left_shannon_centibits", t->debiased_left_shannon_centi);
	row_number(s, "debiased_right_bytes", t->debiased_right_bytes);
	row_number(s, "debiased_right_shannon_centibits", t->debiased_right_shannon_centi);
}

static void
source_rows(const struct source *source, struct evbuffer *out)
{
	struct source_status status;
	struct row_subject s = {out, "source", NULL};

	source_status(source, &status);
	s.name = status.name;
	row_text(&s, "address", status.address);
	row_text(&s, "state", status.state);
	row_bool(&s, "connected", status.connected);
	row_bool(&s, "paused", status.paused);
	row_bool(&s, "alarm", status.alarm);
	row_text(&s, "serial", status.serial[0] != '\0' ? status.serial : "-");
	row_number(&s, "connects", status.connects);
	row_number(&s, "undecoded_bytes", status.undecoded_bytes);
	session_rows(&s, &status.session);
	intake_rows(&s, &status);
	telemetry_rows(&s, &status.telemetry);
	raw_telemetry_rows(&s, &status.telemetry);
}

/* What a section has that its sources have not. */
static void
section_rows(const struct sources *sources, struct evbuffer *out)
{
	struct sources_status status;
	struct row_subject s = {out, "source", NULL};

	sources_status(sources, &status);
	s.name = status.name;
	if (status.any)
		row_text(&s, "address", status.address);
	row_number(&s, "expected", status.expected);
	row_number(&s, "present", status.present);
	for (size_t i = 0; sources_at(sources, i) != NULL; i++)
		source_rows(sources_at(sources, i), out);
}

void
inputs_status(const struct daemon *d, struct evbuffer *out)
{
	for (size_t i = 0; i < d->config.source_count; i++)
		if (d->sources[i] != NULL)
			section_rows(d->sources[i], out);
}
