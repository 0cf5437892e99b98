/* SPDX-License-Identifier: MIT */
#include "lib/xen_channel.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/xenstore.h"

#define CONSOLES "device/console" /* of this guest */
#define CONSOLE_MAX 15            /* the last number of the kernel's */

/*
 * The kernel numbers its consoles in the order in which it finds them, which is that of the store:
 * 0 is the primary one, and the channels follow without a gap.
 */
int
xen_channel_find_in(int store, const char *name, char ret[static XEN_CHANNEL_PATH_MAX])
{
	int number = xenstore_find(store, CONSOLES, CONSOLE_MAX, name);

	if (number < 0)
		return number == -ENOENT || number == -ESRCH ? -ENODEV : number;
	snprintf(ret, XEN_CHANNEL_PATH_MAX, "/dev/hvc%d", number);
	return 0;
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
