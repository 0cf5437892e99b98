/* SPDX-License-Identifier: MIT */
#include "base/xen_channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "base/xenstore.h"

#define CONSOLES "device/console" /* of this guest */
#define CONSOLE_MAX 15            /* the kernel numbers no more */
#define NAMES_MAX 256             /* bytes of all their numbers */

static bool
is_named(int store, unsigned number, const char *name)
{
	char path[XENSTORE_PATH_MAX], value[64];

	snprintf(path, sizeof(path), CONSOLES "/%u/name", number);
	return xenstore_read(store, path, value, sizeof(value)) > 0 && strcmp(value, name) == 0;
}

/*
 * The kernel numbers its consoles in the order in which it finds them, which is that of the store:
 * 0 is the primary one, and the channels follow without a gap.
 */
int
xen_channel_find_in(int store, const char *name, char ret[static XEN_CHANNEL_PATH_MAX])
{
	char numbers[NAMES_MAX];
	int len = xenstore_list(store, CONSOLES, numbers, sizeof(numbers));
	uint64_t number;

	if (len == -ENOENT)
		return -ENODEV;
	if (len < 0)
		return len;
	for (const char *at = numbers; at < numbers + len; at += strlen(at) + 1) {
		if (!num_parse(at, CONSOLE_MAX, &number) ||
		    !is_named(store, (unsigned)number, name))
			continue;
		snprintf(ret, XEN_CHANNEL_PATH_MAX, "/dev/hvc%u", (unsigned)number);
		return 0;
	}
	return -ENODEV;
}

int
xen_channel_find(const char *name, char ret[static XEN_CHANNEL_PATH_MAX])
{
	int store = xenstore_open(), result;

	if (store < 0)
		return store;
	result = xen_channel_find_in(store, name, ret);
	close(store);
	return result;
}

const char *
xen_channel_error_text(int error)
{
	if (error == ENOENT)
		return "this is no guest of Xen: there is no /dev/xen/xenbus";
	if (error == ENODEV)
		return "this guest has no channel named " XEN_CHANNEL_NAME
		       ": see xen-guest.cfg in the documentation";
	return NULL;
}
