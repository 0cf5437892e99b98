/* SPDX-License-Identifier: MIT */
#include "daemon/devices.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cuse/claim.h"
#include "cuse/stored.h"
#include "daemon/daemon.h"
#include "daemon/files.h"
#include "daemon/row.h"

/* The daemon makes the directory of its control socket. */
static bool
check(const struct config *config, size_t i)
{
	const char *path = config->devices[i].path;
	char resolved[DEVICE_PATH_MAX];

	return files_are_together(path, config->control) ||
	       claim_resolve(path, resolved, sizeof(resolved)) == 0;
}

static bool
begin(struct daemon *d)
{
	if (d->config.device_count == 0)
		log_info("no [device] in %s: none is published", d->config_path);
	return true;
}

/* The saved state of a previous daemon is input: it is read without privileges. */
static int
start(struct daemon *d, size_t i, void **ret)
{
	const struct device_config *config = &d->config.devices[i];
	struct device *device = NULL;
	int result;

	if (d->privileged && stored_is_there(d->store, config->name))
		return PART_UNPRIVILEGED;
	result = device_start(d->base, d->pool, d->store, config, &device);
	*ret = device;
	return result == -ENODEV ? PART_NEVER : result;
}

/* Withdraws the device, unless the next daemon can resume it. */
static void
stop(struct daemon *d, size_t i, void *running)
{
	struct device *device = running;
	struct device_status status;

	(void)i;
	device_status(device, &status);
	if (!d->restarting || !status.stored)
		device_stop(&device);
}

bool
devices_are_taken(const struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->parts[PART_DEVICE][i].error == -EBUSY ||
		    d->parts[PART_DEVICE][i].error == -EEXIST)
			return true;
	return false;
}

const char *
devices_not_by_cuse(const struct daemon *d)
{
	struct device_status status;

	for (size_t i = 0; i < d->config.device_count; i++) {
		const struct device *device = d->parts[PART_DEVICE][i].running;

		if (device == NULL)
			return d->config.devices[i].name;
		device_status(device, &status);
		if (strcmp(status.via, "cuse") != 0)
			return status.name;
	}
	return NULL;
}

void
devices_unlock(struct daemon *d)
{
	for (size_t i = 0; i < d->config.device_count; i++)
		if (d->parts[PART_DEVICE][i].running != NULL)
			device_unlock(d->parts[PART_DEVICE][i].running);
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	const struct device_config *config = &d->config.devices[i];
	const struct row_subject s = {out, "device", config->name};
	struct device_status status;

	row_text(&s, "path", config->path);
	if (running == NULL) {
		row_text(&s, "via", "none: it could not be published");
		return;
	}
	device_status(running, &status);
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

const struct part_functions devices_part = {
	.section = "device",
	.privileged = true,
	.begin = begin,
	.start = start,
	.stop = stop,
	.status = write_status,
	.check = check,
};
