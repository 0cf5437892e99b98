/* SPDX-License-Identifier: MIT */
#include "daemon/inputs.h"

#include <errno.h>

#include "daemon/daemon.h"
#include "daemon/status_row.h"
#include "lib/log.h"

struct source *
inputs_at(const struct daemon *d, size_t i)
{
	for (size_t section = 0; section < PARTS_MAX; section++) {
		size_t n = 0;

		for (struct source *at;
		     (at = sources_at(d->parts[PART_SOURCE][section].running, n)) != NULL; n++)
			if (n == i)
				return at;
		i -= n;
	}
	return NULL;
}

static void
inputs_on_pool_room(void *arg)
{
	struct source *source;

	for (size_t i = 0; (source = inputs_at(arg, i)) != NULL; i++)
		source_room(source);
}

static void
inputs_on_pool_wanted(void *arg)
{
	struct source *source;

	for (size_t i = 0; (source = inputs_at(arg, i)) != NULL; i++)
		source_wanted(source);
}

/* The service manager's line counts the sources. */
static void
inputs_on_presence(void *arg)
{
	const struct daemon *d = arg;

	notify_changed(d->watchdog);
}

/* Takes bytes of sources that are not trusted, for the kernel. */
static void
inputs_mix(void *arg, const uint8_t *bytes, size_t len)
{
	struct daemon *d = arg;

	if (d->parts[PART_KERNEL][0].running != NULL)
		kernel_mix(d->parts[PART_KERNEL][0].running, bytes, len);
}

static bool
begin(struct daemon *d)
{
	if (d->config.source_count == 0)
		log_info("no [source] in %s: readers will wait", d->config_path);
	return true;
}

/* Makes what all sources share. */
static bool
prepare(struct daemon *d)
{
	if (d->usb != NULL)
		return true;
	d->usb = usb_new(d->base);
	d->credit = SOURCE_CREDIT_MAX;
	d->source_env = (struct source_env){.base = d->base,
					    .usb = d->usb,
					    .pool = d->pool,
					    .keyring = &d->keyring_seen,
					    .keyring_path = d->config.keyring,
					    .presence = inputs_on_presence,
					    .presence_arg = d,
					    .mix = d->config.kernel_on ? inputs_mix : NULL,
					    .mix_arg = d,
					    .tls = &d->tls.process.fd,
					    .credit = &d->credit};
	pool_on_room(d->pool, inputs_on_pool_room, d);
	pool_on_wanted(d->pool, inputs_on_pool_wanted, d);
	if (d->usb == NULL)
		log_err("no memory for sources");
	return d->usb != NULL;
}

static int
start(struct daemon *d, size_t i, void **ret)
{
	const struct source_config *config = &d->config.sources[i];

	*ret = d->usb != NULL ? sources_new(&d->source_env, config) : NULL;
	if (*ret == NULL) {
		log_err("source %s: no memory", config->name);
		return -ENOMEM;
	}
	log_info("source %s: %s", config->name, config->address);
	return 0;
}

static void
stop(struct daemon *d, size_t i, void *running)
{
	struct sources *sources = running;

	(void)d, (void)i;
	sources_free(&sources);
}

static void
finish(struct daemon *d)
{
	usb_free(&d->usb);
}

static unsigned
invalidate(void *running)
{
	struct source *source;

	for (size_t i = 0; (source = sources_at(running, i)) != NULL; i++)
		source_renew(source);
	return 0;
}

/* ---- status ---- */

static void
source_row(void *arg, const struct source_row *row)
{
	if (row->text != NULL)
		status_row_text(arg, row->key, row->text);
	else
		status_row_number(arg, row->key, row->number);
}

/* Writes the figures of the section, then those of each of its sources. */
static void
section_rows(const struct sources *sources, struct evbuffer *out)
{
	struct sources_status status;
	struct status_subject s = {out, "source", NULL};

	sources_status(sources, &status);
	s.name = status.name;
	if (status.any || status.list)
		status_row_text(&s, "address", status.address);
	status_row_number(&s, "expected", status.expected);
	status_row_number(&s, "present", status.present);
	for (size_t i = 0; sources_at(sources, i) != NULL; i++) {
		struct source_status one;

		source_status(sources_at(sources, i), &one);
		s.name = one.name;
		source_rows(&one, source_row, &s);
	}
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	(void)d, (void)i;
	if (running != NULL)
		section_rows(running, out);
}

const struct part_functions inputs_part = {
	.section = "source",
	.begin = begin,
	.prepare = prepare,
	.start = start,
	.stop = stop,
	.finish = finish,
	.invalidate = invalidate,
	.status = write_status,
};
