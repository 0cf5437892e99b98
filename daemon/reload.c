/* SPDX-License-Identifier: MIT */
#include "daemon/reload.h"

#include <string.h>

#include "base/log.h"
#include "daemon/files.h"

/* ---- sources ---- */

/* Sources of the new configuration that run already move to `ret`; NULL for the others. */
static void
keep_sources(struct daemon *d, const struct config *next, struct sources *ret[CONFIG_SOURCES_MAX])
{
	for (size_t i = 0; i < next->source_count; i++) {
		for (size_t j = 0; j < d->config.source_count; j++) {
			if (config_source_equal(&next->sources[i], &d->config.sources[j])) {
				ret[i] = d->sources[j];
				d->sources[j] = NULL;
			}
		}
	}
}

static void
stop_old_sources(struct daemon *d)
{
	for (size_t i = 0; i < d->config.source_count; i++) {
		if (d->sources[i] != NULL)
			log_info("source %s: stopped", d->config.sources[i].name);
		sources_free(&d->sources[i]);
	}
}

static void
start_new_sources(struct daemon *d)
{
	for (size_t i = 0; i < d->config.source_count; i++) {
		const struct source_config *config = &d->config.sources[i];

		if (d->sources[i] != NULL)
			continue;
		d->sources[i] = sources_new(&d->source_env, config);
		if (d->sources[i] == NULL)
			log_err("source %s: no memory", config->name);
		else
			log_info("source %s: %s", config->name, config->address);
	}
}

/* ---- devices ---- */

static void
keep_devices(struct daemon *d, const struct config *next, struct device *ret[CONFIG_DEVICES_MAX])
{
	for (size_t i = 0; i < next->device_count; i++) {
		for (size_t j = 0; j < d->config.device_count; j++) {
			if (config_device_equal(&next->devices[i], &d->config.devices[j])) {
				ret[i] = d->devices[j];
				d->devices[j] = NULL;
			}
		}
	}
}

static void
stop_old_devices(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++) {
		if (d->devices[i] != NULL)
			log_info("device %s: withdrawn", d->config.devices[i].name);
		device_stop(&d->devices[i]);
	}
}

/* device_start() says what is wrong; the rest goes on. */
static void
start_new_devices(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->devices[i] == NULL)
			(void)device_start(d->base, d->pool, &d->config.devices[i], &d->devices[i]);
}

/* ---- the whole ---- */

/* What was fixed at the start stays as it is until the next. */
static void
keep_fixed(const struct config *now, struct config *next)
{
	bool same = strcmp(now->user, next->user) == 0 &&
		    strcmp(now->keyring, next->keyring) == 0 &&
		    strcmp(now->control, next->control) == 0 &&
		    now->control_mode == next->control_mode && now->pool_size == next->pool_size;

	if (same)
		return;
	log_warn("changes in [daemon] and [pool] need a restart");
	memcpy(next->user, now->user, sizeof(next->user));
	memcpy(next->keyring, now->keyring, sizeof(next->keyring));
	memcpy(next->control, now->control, sizeof(next->control));
	next->control_mode = now->control_mode;
	next->pool_size = now->pool_size;
}

static void
swap_keyring(struct daemon *d, struct keyring *next)
{
	struct keyring *old = d->keyring;

	d->keyring = next;
	d->keyring_seen = next;
	for (size_t i = 0; i < CONFIG_SOURCES_MAX; i++)
		for (size_t j = 0; sources_at(d->sources[i], j) != NULL; j++)
			source_keyring_changed(sources_at(d->sources[i], j));
	files_free_keyring(&old);
}

/* Old ones go before new ones come: they may want the same path. */
static void
swap_config(struct daemon *d, const struct config *next)
{
	struct sources *sources[CONFIG_SOURCES_MAX] = {NULL};
	struct device *devices[CONFIG_DEVICES_MAX] = {NULL};

	keep_sources(d, next, sources);
	keep_devices(d, next, devices);
	stop_old_sources(d);
	stop_old_devices(d);
	d->config = *next;
	memcpy(d->sources, sources, sizeof(sources));
	memcpy(d->devices, devices, sizeof(devices));
	start_new_devices(d);
	start_new_sources(d);
}

void
reload(struct daemon *d)
{
	struct config next;
	struct keyring *ring = NULL;

	if (files_read_config(d->config_path, &next))
		ring = files_read_keyring(d->config.keyring);
	if (ring == NULL) {
		log_err("SIGHUP: nothing was changed");
		return;
	}
	keep_fixed(&d->config, &next);
	swap_config(d, &next);
	swap_keyring(d, ring);
	log_info("SIGHUP: %s and %s are in force", d->config_path, d->config.keyring);
}

bool
reload_keyring(struct daemon *d)
{
	struct keyring *ring = files_read_keyring(d->config.keyring);

	if (ring != NULL)
		swap_keyring(d, ring);
	return ring != NULL;
}
