/* SPDX-License-Identifier: MIT */
#include "daemon/connectors.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "egd/listener.h"
#include "priv/connect_helper.h"

static void
start(struct connector *connector, const char *user, const struct egd_listen_config *listen)
{
	const char *directory = egd_listener_rest(listen->address, EGD_LISTEN_XEN);
	int result;

	connector->helper = HELPER_NONE;
	if (directory == NULL)
		return;
	result = connect_helper_start(&connector->helper, user, directory);
	if (result == 0) {
		memcpy(connector->address, listen->address, sizeof(connector->address));
		return;
	}
	log_err("listen %s: %s: %s%s", listen->name, directory, strerror(-result),
		result == -ENOENT ? ": is this Xen's dom0, and are its services started?" : "");
}

void
connectors_prepare(struct daemon *d)
{
	for (size_t i = 0; i < d->config.listen_count; i++)
		start(&d->connectors[i], d->user, &d->config.listens[i]);
}

struct helper *
connectors_find(struct daemon *d, const struct egd_listen_config *listen)
{
	for (size_t i = 0; i < CONFIG_LISTENS_MAX; i++)
		if (strcmp(d->connectors[i].address, listen->address) == 0 &&
		    d->connectors[i].helper.fd >= 0)
			return &d->connectors[i].helper;
	log_err("listen %s: %s has no helper, which only the daemon's start can give it: restart"
		" the daemon",
		listen->name, listen->address);
	return NULL;
}

void
connectors_stop(struct daemon *d)
{
	for (size_t i = 0; i < CONFIG_LISTENS_MAX; i++) {
		if (d->connectors[i].address[0] != '\0')
			helper_stop(&d->connectors[i].helper);
		d->connectors[i].address[0] = '\0';
	}
}
