/* SPDX-License-Identifier: MIT */
#include "daemon/parts.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/devices.h"
#include "daemon/haproxy.h"
#include "daemon/inputs.h"
#include "daemon/kernel.h"
#include "daemon/listeners.h"
#include "daemon/status_row.h"
#include "lib/log.h"

_Static_assert(PARTS_MAX == CONFIG_DEVICES_MAX && PARTS_MAX == CONFIG_LISTENS_MAX &&
		       PARTS_MAX == CONFIG_SOURCES_MAX,
	       "each section of the configuration has a place");

static const struct part_functions *const kinds[PART_KINDS] = {
	[PART_DEVICE] = &devices_part, [PART_LISTEN] = &listeners_part,
	[PART_AGENT] = &haproxy_part,  [PART_KERNEL] = &kernel_part,
	[PART_SOURCE] = &inputs_part,
};

static size_t
count(const struct config *config, enum part_kind kind)
{
	return config_count(config, kinds[kind]->section);
}

/* ---- start ---- */

bool
parts_begin(struct daemon *d)
{
	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		if (kinds[kind]->begin != NULL && !kinds[kind]->begin(d))
			return false;
	return true;
}

static bool
prepare(struct daemon *d, enum part_kind kind)
{
	return kinds[kind]->prepare == NULL || kinds[kind]->prepare(d);
}

/* Starts parts of a kind; with `again` also those that have failed before. */
static bool
start_kind(struct daemon *d, enum part_kind kind, bool again)
{
	bool good = true;

	for (size_t i = 0; i < count(&d->config, kind); i++) {
		struct part *part = &d->parts[kind][i];

		if (part->running == NULL && (part->error == 0 || (part->error < 0 && again)))
			part->error = kinds[kind]->start(d, i, &part->running);
		good = good && part->error >= 0;
	}
	return good;
}

static bool
prepare_and_start(struct daemon *d, enum part_kind kind, bool again)
{
	bool prepared = prepare(d, kind);

	return start_kind(d, kind, again) && prepared;
}

bool
parts_start_privileged(struct daemon *d)
{
	bool good = true;

	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		if (kinds[kind]->privileged)
			good = prepare_and_start(d, kind, false) && good;
	return good;
}

bool
parts_start_others(struct daemon *d)
{
	bool good = true;

	for (unsigned kind = 0; kind < PART_KINDS; kind++) {
		if (!kinds[kind]->privileged)
			good = prepare(d, kind) && good;
		good = start_kind(d, kind, false) && good;
	}
	return good;
}

void
parts_start(struct daemon *d)
{
	bool good = true;

	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		good = prepare_and_start(d, kind, true) && good;
	if (good)
		retry_reset(&d->retry);
	else
		retry_later(&d->retry);
}

/* ---- reload ---- */

/* Takes the part that can run by the section `i` of `next` out of its place; NULL: none can. */
static void *
take(struct daemon *d, enum part_kind kind, const struct config *next, size_t i)
{
	const struct part_functions *f = kinds[kind];
	const void *section = config_at(next, f->section, i);

	for (size_t n = 0; n < PARTS_MAX; n++) {
		void *running = d->parts[kind][n].running;

		if (running == NULL)
			continue;
		if (config_equal(f->section, config_at(&d->config, f->section, n), section) ||
		    (f->change != NULL && f->change(d, running, next, i))) {
			d->parts[kind][n].running = NULL;
			return running;
		}
	}
	return NULL;
}

static void
stop_kind(struct daemon *d, enum part_kind kind)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		struct part *part = &d->parts[kind][i];

		if (part->running != NULL)
			kinds[kind]->stop(d, i, part->running);
		part->running = NULL;
	}
}

static void
log_stops(const struct daemon *d, enum part_kind kind)
{
	const char *section = kinds[kind]->section;

	for (size_t i = 0; i < PARTS_MAX; i++) {
		const char *name = config_name(&d->config, section, i);
		bool named = strcmp(name, ROW_ONLY_ONE) != 0;

		if (d->parts[kind][i].running != NULL)
			log_info("%s%s%s: stopped", section, named ? " " : "", named ? name : "");
	}
}

void
parts_keep(struct daemon *d, const struct config *next)
{
	for (unsigned kind = PART_KINDS; kind-- > 0;) {
		struct part kept[PARTS_MAX] = {{.error = 0}};

		for (size_t i = 0; i < count(next, kind); i++)
			kept[i].running = take(d, kind, next, i);
		log_stops(d, kind);
		stop_kind(d, kind);
		memcpy(d->parts[kind], kept, sizeof(kept));
	}
}

void
parts_stop(struct daemon *d)
{
	for (unsigned kind = PART_KINDS; kind-- > 0;) {
		stop_kind(d, kind);
		if (kinds[kind]->finish != NULL)
			kinds[kind]->finish(d);
	}
}

/* ---- clones ---- */

/*
 * The sources first, so that none fills the pool again with what was on its way. The pool before
 * the connections: closing one serves those that waited behind it.
 */
unsigned
parts_invalidate(struct daemon *d)
{
	unsigned closed = 0;

	for (unsigned kind = PART_KINDS; kind-- > 0;) {
		for (size_t i = 0; i < PARTS_MAX; i++)
			if (d->parts[kind][i].running != NULL && kinds[kind]->invalidate != NULL)
				closed += kinds[kind]->invalidate(d->parts[kind][i].running);
		if (kind == PART_SOURCE)
			pool_wipe(d->pool);
	}
	return closed;
}

/* ---- status ---- */

static void
status_of_kind(const struct daemon *d, enum part_kind kind, struct evbuffer *out)
{
	const char *section = kinds[kind]->section;
	char text[RETRY_TEXT_MAX];

	for (size_t i = 0; i < count(&d->config, kind); i++) {
		const struct part *part = &d->parts[kind][i];
		const struct status_subject s = {out, section, config_name(&d->config, section, i)};

		kinds[kind]->status(d, i, part->running, out);
		if (part->running == NULL)
			status_row_text(&s, "state",
					part->error == PART_NEVER ? RETRY_NEVER
								  : retry_text(&d->retry, text));
	}
}

void
parts_status(const struct daemon *d, struct evbuffer *out)
{
	status_of_kind(d, PART_SOURCE, out);
	for (unsigned kind = 0; kind < PART_SOURCE; kind++)
		status_of_kind(d, kind, out);
}

bool
parts_check(const struct config *config)
{
	bool good = true;

	for (unsigned kind = 0; kind < PART_KINDS; kind++)
		for (size_t i = 0; i < count(config, kind); i++)
			if (kinds[kind]->check != NULL)
				good = kinds[kind]->check(config, i) && good;
	return good;
}
