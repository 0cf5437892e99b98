/* SPDX-License-Identifier: MIT */
#include "backend/transport.h"

#include <string.h>

#include "backend/fd_transport.h"
#include "backend/net_transport.h"
#include "backend/usb_transport.h"
#include "backend/xen_transport.h"

/* Tried in this order: a bare path comes last. */
static const struct transport_kind *const kinds[] = {
	&transport_usb,   &transport_unix, &transport_tcp,       &transport_tls,
	&transport_vsock, &transport_xen,  &transport_tty_named, &transport_tty};

const struct transport_kind *
transport_kind_of(const char *address)
{
	size_t i = 0;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the last prefix, "", ends it. */
	while (strncmp(address, kinds[i]->prefix, strlen(kinds[i]->prefix)) != 0)
		i++;
	return kinds[i];
}
