/* SPDX-License-Identifier: MIT */
#include "cuse/choose.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"

static int
choose_open(struct carrier *c, const struct carrier_kind *kind, const struct device_config *config,
	    struct requests *requests)
{
	*c = (struct carrier){
		.kind = kind, .path = config->path, .mode = config->mode, .requests = requests};
	return carrier_open(c);
}

/*
 * Only a kernel without CUSE is a reason to change over: a name that CUSE refused would be in the
 * way of FUSE too. Why FUSE, or why neither, is in `why`.
 */
static int
choose_open_any(struct carrier *c, const struct device_config *config, struct requests *requests,
		char *why, size_t size)
{
	int result;

	if (config->via == DEVICE_VIA_FUSE) {
		snprintf(why, size, "the configuration says so");
		return choose_open(c, &carrier_fuse, config, requests);
	}
	result = choose_open(c, &carrier_cuse, config, requests);
	snprintf(why, size, "%s", c->problem);
	if (config->via == DEVICE_VIA_CUSE || result != -ENODEV)
		return result;
	result = choose_open(c, &carrier_fuse, config, requests);
	return result == -EACCES ? -ENODEV : result; /* neither can be had by this user */
}

int
choose_carrier(struct carrier *c, const struct device_config *config, struct requests *requests)
{
	char why[CARRIER_PROBLEM_MAX];
	int result = choose_open_any(c, config, requests, why, sizeof(why));

	if (result < 0 && c->kind == &carrier_fuse && config->via == DEVICE_VIA_AUTO)
		log_err("%s: not published: %s; and %s", config->path, why, c->problem);
	else if (result < 0)
		log_err("%s: not published: %s", config->path, c->problem);
	else if (c->kind == &carrier_fuse)
		log_info("%s: served by FUSE, because %s; programs that seek or splice fail or "
			 "read nothing: see README.md, What works on the device",
			 config->path, why);
	else
		log_info("%s: served by CUSE%s", config->path,
			 c->mode_is_udevs ? "; udev's rules set its mode, since we are not root"
					  : "");
	return result;
}
