/* SPDX-License-Identifier: MIT */
#include "daemon/inputs.h"

#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"

struct source *
inputs_at(const struct daemon *d, size_t i)
{
	for (size_t section = 0; section < CONFIG_SOURCES_MAX; section++) {
		size_t n = 0;

		for (struct source *at; (at = sources_at(d->sources[section], n)) != NULL; n++)
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

/* For the kernel, from sources whose bytes may not enter the pool. */
static void
inputs_mix(void *arg, const uint8_t *bytes, size_t len)
{
	struct daemon *d = arg;

	if (d->kernel != NULL)
		kernel_mix(d->kernel, bytes, len);
}

/* What all sources share. */
static bool
inputs_begin(struct daemon *d)
{
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
	return d->usb != NULL;
}

static bool
inputs_start_one(struct daemon *d, size_t i)
{
	const struct source_config *config = &d->config.sources[i];

	d->sources[i] = sources_new(&d->source_env, config);
	if (d->sources[i] == NULL)
		log_err("source %s: no memory", config->name);
	else
		log_info("source %s: %s", config->name, config->address);
	return d->sources[i] != NULL;
}

bool
inputs_start(struct daemon *d)
{
	bool good = true;

	if (d->usb == NULL && !inputs_begin(d))
		return false;
	for (size_t i = 0; i < d->config.source_count; i++)
		if (d->sources[i] == NULL && !inputs_start_one(d, i))
			good = false;
	if (d->config.source_count == 0)
		log_info("no [source] in %s: readers will wait", d->config_path);
	return good;
}

/* Takes those that run as `config` says out of their place; NULL: none do. */
static struct sources *
inputs_take(struct daemon *d, const struct source_config *config)
{
	for (size_t i = 0; i < d->config.source_count; i++) {
		struct sources *sources = d->sources[i];

		if (config_equal("source", config, &d->config.sources[i])) {
			d->sources[i] = NULL;
			return sources;
		}
	}
	return NULL;
}

void
inputs_keep(struct daemon *d, const struct config *next)
{
	struct sources *kept[CONFIG_SOURCES_MAX] = {NULL};

	for (size_t i = 0; i < next->source_count; i++)
		kept[i] = inputs_take(d, &next->sources[i]);
	for (size_t i = 0; i < d->config.source_count; i++) {
		if (d->sources[i] != NULL)
			log_info("source %s: stopped", d->config.sources[i].name);
		sources_free(&d->sources[i]);
	}
	memcpy(d->sources, kept, sizeof(kept));
}

void
inputs_stop(struct daemon *d)
{
	for (size_t i = 0; i < CONFIG_SOURCES_MAX; i++)
		sources_free(&d->sources[i]);
	usb_free(&d->usb);
}
