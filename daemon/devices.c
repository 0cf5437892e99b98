/* SPDX-License-Identifier: MIT */
#include "daemon/devices.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cuse/claim.h"
#include "cuse/stored.h"
#include "daemon/daemon.h"
#include "daemon/parts.h"
#include "daemon/row.h"

/* Whether the path is beside the control socket, whose directory we make. */
static bool
is_beside_control(const char *path, const char *control)
{
	size_t len = (size_t)(strrchr(path, '/') - path) + 1;

	return strncmp(path, control, len) == 0 && strchr(control + len, '/') == NULL;
}

bool
devices_check(const struct config *config)
{
	bool good = true;

	for (size_t i = 0; i < config->device_count; i++) {
		const char *path = config->devices[i].path;
		char resolved[DEVICE_PATH_MAX];

		if (!is_beside_control(path, config->control))
			good &= claim_resolve(path, resolved, sizeof(resolved)) == 0;
	}
	return good;
}

/* A kernel that cannot carry a device is not asked again before a reload. */
static void
start_one(struct daemon *d, size_t i)
{
	if (d->devices[i] == NULL && d->device_errors[i] != -ENODEV)
		d->device_errors[i] = device_start(d->base, d->pool, d->store,
						   &d->config.devices[i], &d->devices[i]);
}

static bool
are_started(const struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->devices[i] == NULL && d->device_errors[i] != -ENODEV)
			return false;
	return true;
}

bool
devices_start_new(struct daemon *d)
{
	bool resumes = fd_store_count(d->store) > 0, good = true;

	for (size_t i = 0; i < d->config.device_count; i++) {
		if (!stored_is_there(d->store, d->config.devices[i].name))
			start_one(d, i);
		good = good && d->device_errors[i] != -EBUSY && d->device_errors[i] != -EEXIST;
	}
	return good || resumes;
}

bool
devices_start_others(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->device_errors[i] == 0)
			start_one(d, i);
	if (d->config.device_count == 0)
		log_info("no [device] in %s: none is published", d->config_path);
	return are_started(d);
}

bool
devices_start(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		start_one(d, i);
	return are_started(d);
}

/* Takes the one that runs as `config` says out of its place; NULL: none does. */
static struct device *
devices_take(struct daemon *d, const struct device_config *config)
{
	for (size_t i = 0; i < d->config.device_count; i++) {
		struct device *device = d->devices[i];

		if (config_equal("device", config, &d->config.devices[i])) {
			d->devices[i] = NULL;
			return device;
		}
	}
	return NULL;
}

void
devices_keep(struct daemon *d, const struct config *next)
{
	struct device *kept[CONFIG_DEVICES_MAX] = {NULL};

	for (size_t i = 0; i < next->device_count; i++)
		kept[i] = devices_take(d, &next->devices[i]);
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->devices[i] != NULL)
			log_info("device %s: withdrawn", d->config.devices[i].name);
	devices_stop(d);
	memcpy(d->devices, kept, sizeof(kept));
	memset(d->device_errors, 0, sizeof(d->device_errors));
}

const char *
devices_not_by_cuse(const struct daemon *d)
{
	struct device_status status;

	for (size_t i = 0; i < d->config.device_count; i++) {
		if (d->devices[i] == NULL)
			return d->config.devices[i].name;
		device_status(d->devices[i], &status);
		if (strcmp(status.via, "cuse") != 0)
			return status.name;
	}
	return NULL;
}

void
devices_unlock(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->devices[i] != NULL)
			device_unlock(d->devices[i]);
}

void
devices_stop(struct daemon *d)
{
	for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++)
		device_stop(&d->devices[i]);
}

void
devices_stop_unstored(struct daemon *d)
{
	struct device_status status;

	for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
		if (d->devices[i] == NULL)
			continue;
		device_status(d->devices[i], &status);
		if (!status.stored)
			device_stop(&d->devices[i]);
	}
}

/* ---- status ---- */

static void
device_rows(const struct device *device, struct evbuffer *out)
{
	struct device_status status;
	struct row_subject s = {out, "device", NULL};

	device_status(device, &status);
	s.name = status.name;
	row_text(&s, "path", status.path);
	row_text(&s, "class", "direct");
	row_text(&s, "via", status.via);
	row_text(&s, "handover", status.stored ? "service manager" : "none");
	row_number(&s, "opens", status.opens);
	row_number(&s, "delivered", status.account.delivered);
	row_number(&s, "lost", status.account.lost);
	row_number(&s, "requests", status.account.requests);
	row_number(&s, "waited", status.account.waited);
	row_number(&s, "interrupted", status.interrupted);
}

/* Configured, and not there: the log said why. */
static void
no_device_rows(const struct daemon *d, const struct device_config *config, struct evbuffer *out)
{
	const struct row_subject s = {out, "device", config->name};
	char text[PARTS_TEXT_MAX];

	row_text(&s, "path", config->path);
	row_text(&s, "via", "none: it could not be published");
	row_text(&s, "state", parts_waiting_text(d, text));
}

void
devices_status(const struct daemon *d, struct evbuffer *out)
{
	for (size_t i = 0; i < d->config.device_count; i++) {
		if (d->devices[i] != NULL)
			device_rows(d->devices[i], out);
		else
			no_device_rows(d, &d->config.devices[i], out);
	}
}
