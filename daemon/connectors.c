/* SPDX-License-Identifier: MIT */
#include "daemon/connectors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "egd/listener.h"
#include "priv/connector.h"

static void
start(struct connector *connector, const struct egd_listen_config *listen)
{
	const char *directory = egd_listener_xen_directory(listen->address);

	if (directory == NULL)
		return;
	connector->fd = connector_start(directory);
	if (connector->fd >= 0) {
		memcpy(connector->address, listen->address, sizeof(connector->address));
		return;
	}
	log_err("listen %s: %s: %s%s", listen->name, directory, strerror(-connector->fd),
		connector->fd == -ENOENT ? ": is this Xen's dom0, and are its services started?"
					 : "");
}

void
connectors_prepare(struct daemon *d)
{
	for (size_t i = 0; i < d->config.listen_count; i++)
		start(&d->connectors[i], &d->config.listens[i]);
}

int
connectors_find(const struct daemon *d, const struct egd_listen_config *listen)
{
	for (size_t i = 0; i < CONFIG_LISTENS_MAX; i++)
		if (strcmp(d->connectors[i].address, listen->address) == 0)
			return d->connectors[i].fd;
	log_err("listen %s: %s was not there when the daemon started: it needs a restart",
		listen->name, listen->address);
	return -1;
}

void
connectors_stop(struct daemon *d)
{
	for (size_t i = 0; i < CONFIG_LISTENS_MAX; i++) {
		if (d->connectors[i].address[0] != '\0')
			close(d->connectors[i].fd);
		d->connectors[i].address[0] = '\0';
	}
}
