/* SPDX-License-Identifier: MIT */
#include "daemon/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"

#define ONLY_ONE "-" /* the name of what has none */

/* Whose rows are being written. */
struct subject {
	struct evbuffer *out;
	const char *kind, *name;
};

static void
row_text(const struct subject *s, const char *key, const char *value)
{
	evbuffer_add_printf(s->out, "*\t%s\t%s\t%s\t%s\n", s->kind, s->name, key, value);
}

static void
row_number(const struct subject *s, const char *key, uint64_t value)
{
	evbuffer_add_printf(s->out, "*\t%s\t%s\t%s\t%" PRIu64 "\n", s->kind, s->name, key, value);
}

static void
row_bool(const struct subject *s, const char *key, bool value)
{
	row_text(s, key, value ? "yes" : "no");
}

static void
status_daemon(const struct daemon *d, struct evbuffer *out)
{
	const struct subject s = {out, "daemon", ONLY_ONE};

	row_text(&s, "version", VERSION);
	row_number(&s, "pid", (uint64_t)getpid());
	row_number(&s, "uptime_s", (clock_now_ms() - d->started_ms) / 1000);
	row_text(&s, "keyring", d->config.keyring);
	row_number(&s, "long_term_keys", d->keyring->len);
}

static void
status_pool(const struct daemon *d, struct evbuffer *out)
{
	const struct subject s = {out, "pool", ONLY_ONE};
	struct pool_totals totals;

	pool_totals(d->pool, &totals);
	row_number(&s, "level_bytes", totals.level);
	row_number(&s, "reserved_bytes", totals.reserved);
	row_number(&s, "size_bytes", d->pool_size);
	row_number(&s, "in", totals.in);
	row_number(&s, "delivered", totals.delivered);
	row_number(&s, "lost", totals.lost);
	row_number(&s, "held", totals.held);
	row_number(&s, "waiters", totals.waiters);
	row_number(&s, "handles", totals.handles);
}

static void
status_session(const struct subject *s, const struct session_counters *c)
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
status_intake(const struct subject *s, const struct source_status *status)
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
status_telemetry(const struct subject *s, const struct telemetry *t)
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
status_raw_telemetry(const struct subject *s, const struct telemetry *t)
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
status_source(const struct source *source, struct evbuffer *out)
{
	struct source_status status;
	struct subject s = {out, "source", NULL};

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
	status_session(&s, &status.session);
	status_intake(&s, &status);
	status_telemetry(&s, &status.telemetry);
	status_raw_telemetry(&s, &status.telemetry);
}

/* What a section has that its sources have not. */
static void
status_sources(const struct sources *sources, struct evbuffer *out)
{
	struct sources_status status;
	struct subject s = {out, "source", NULL};

	sources_status(sources, &status);
	s.name = status.name;
	if (status.any)
		row_text(&s, "address", status.address);
	row_number(&s, "expected", status.expected);
	row_number(&s, "present", status.present);
	for (size_t i = 0; sources_at(sources, i) != NULL; i++)
		status_source(sources_at(sources, i), out);
}

static void
status_device(const struct device *device, struct evbuffer *out)
{
	struct device_status status;
	struct subject s = {out, "device", NULL};

	device_status(device, &status);
	s.name = status.name;
	row_text(&s, "path", status.path);
	row_text(&s, "class", "direct");
	row_text(&s, "via", status.via);
	row_number(&s, "opens", status.opens);
	row_number(&s, "delivered", status.account.delivered);
	row_number(&s, "lost", status.account.lost);
	row_number(&s, "requests", status.account.requests);
	row_number(&s, "waited", status.account.waited);
	row_number(&s, "interrupted", status.interrupted);
}

/* Configured, and not there: the log said why. */
static void
status_no_device(const struct device_config *config, struct evbuffer *out)
{
	const struct subject s = {out, "device", config->name};

	row_text(&s, "path", config->path);
	row_text(&s, "via", "none: it could not be published");
}

void
status_write(const struct daemon *d, struct evbuffer *out)
{
	status_daemon(d, out);
	status_pool(d, out);
	for (size_t i = 0; i < d->config.source_count; i++)
		if (d->sources[i] != NULL)
			status_sources(d->sources[i], out);
	for (size_t i = 0; i < d->config.device_count; i++) {
		if (d->devices[i] != NULL)
			status_device(d->devices[i], out);
		else
			status_no_device(&d->config.devices[i], out);
	}
}

/* ---- in one line ---- */

struct key_count {
	unsigned sources, connected, keyed;
	const char *state; /* of the only source, or of the one key that is connected */
};

static void
count_key(const struct source *source, struct key_count *keys)
{
	struct source_status status;

	source_status(source, &status);
	keys->connected += status.connected;
	keys->keyed += strcmp(status.state, session_state_text(SESSION_KEYED)) == 0;
	if (status.connected || keys->sources == 0)
		keys->state = status.state;
	keys->sources++;
}

static void
count_keys(const struct daemon *d, struct key_count *ret)
{
	for (size_t i = 0; i < d->config.source_count; i++)
		for (size_t j = 0; d->sources[i] != NULL && sources_at(d->sources[i], j) != NULL;
		     j++)
			count_key(sources_at(d->sources[i], j), ret);
	if (ret->connected == 0 && ret->sources != 1)
		ret->state = "waiting";
}

void
status_line(const struct daemon *d, char *ret, size_t size)
{
	struct key_count keys = {.state = "waiting"};
	size_t level = pool_level(d->pool);

	count_keys(d, &keys);
	if (keys.connected > 1)
		snprintf(ret, size, "%u keys, %u keyed; pool %zu/%zu bytes", keys.connected,
			 keys.keyed, level, d->pool_size);
	else
		snprintf(ret, size, "%s, %s; pool %zu/%zu bytes",
			 keys.connected == 1 ? "1 key" : "no key", keys.state, level, d->pool_size);
}
