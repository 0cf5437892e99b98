/* SPDX-License-Identifier: MIT */
#include "daemon/devices.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cuse/path_lock.h"
#include "cuse/stored.h"
#include "daemon/daemon.h"
#include "daemon/files.h"
#include "daemon/mount_helper.h"
#include "daemon/status_row.h"
#include "lib/log.h"
#include "lib/priv/mounter.h"

/* The daemon makes the directory of its control socket. */
static bool
check(const struct config *config, size_t i)
{
	const char *path = config->devices[i].path;
	char resolved[DEVICE_PATH_MAX];

	return files_are_together(path, config->control) ||
	       path_lock_resolve(path, resolved, sizeof(resolved)) == 0;
}

static bool
begin(struct daemon *d)
{
	if (d->config.device_count == 0)
		log_info("no [device] in %s: none is published", d->config_path);
	return true;
}

/* Root starts ekey-mount before it becomes another user, which could not unmount. */
static bool
prepare(struct daemon *d)
{
	int result = 0;

	if (d->privileged && geteuid() == 0 && d->user != NULL && devices_may_be_mounts(d) &&
	    !mounter_is_there())
		result = mounter_start(&mount_helper_role, d->config_path);
	if (result < 0)
		log_err("cannot start " MOUNTER_NAME ", which mounts devices by FUSE: %s",
			strerror(-result));
	return result == 0;
}

static void
finish(struct daemon *d)
{
	(void)d;
	mounter_stop();
}

/*
 * The saved state of a previous daemon is input, read without privileges. A mount is made without
 * them too: a mount that the stop could not remove then fails at the start.
 */
static int
start(struct daemon *d, size_t i, void **ret)
{
	const struct device_config *config = &d->config.devices[i];
	struct device *device = NULL;
	int result;

	if (d->privileged &&
	    (config_device_is_mount(config) || stored_is_there(d->store, config->name)))
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

bool
devices_may_be_mounts(const struct daemon *d)
{
	bool may = false;

	for (size_t i = 0; i < d->config.device_count; i++) {
		const struct device *device = d->parts[PART_DEVICE][i].running;
		struct device_status status = {.via = "none"};

		if (device != NULL)
			device_status(device, &status);
		may = may || (strcmp(status.via, "cuse") != 0 &&
			      d->config.devices[i].via != DEVICE_VIA_CUSE);
	}
	return may;
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
	const struct status_subject s = {out, "device", config->name};
	struct device_status status;

	status_row_text(&s, "path", config->path);
	if (running == NULL) {
		status_row_text(&s, "via", "none: it could not be published");
		return;
	}
	device_status(running, &status);
	status_row_text(&s, "class", "direct");
	status_row_text(&s, "via", status.via);
	status_row_text(&s, "handover", status.stored ? "service manager" : "none");
	status_row_number(&s, "opens", status.opens);
	status_row_number(&s, "delivered", status.account.delivered);
	status_row_number(&s, "lost", status.account.lost);
	status_row_number(&s, "requests", status.account.requests);
	status_row_number(&s, "waited", status.account.waited);
	status_row_number(&s, "interrupted", status.interrupted);
}

const struct part_functions devices_part = {
	.section = "device",
	.privileged = true,
	.begin = begin,
	.prepare = prepare,
	.start = start,
	.stop = stop,
	.finish = finish,
	.status = write_status,
	.check = check,
};
