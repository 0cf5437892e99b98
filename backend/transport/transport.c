/* SPDX-License-Identifier: MIT */
#include "backend/transport/transport.h"

#include <string.h>

#include "backend/transport/fd_transport.h"
#include "backend/transport/net_transport.h"
#include "backend/transport/usb_transport.h"

static const struct transport_kind *const kinds[] = {
	&transport_usb, &transport_unix,  &transport_tcp, &transport_tls,
	&transport_tty, &transport_vsock, &transport_xen};

const struct transport_kind *
transport_find(const char *address, const char **ret_where)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]->prefix);

		if (strncmp(address, kinds[i]->prefix, len) == 0) {
			*ret_where = address + len;
			return kinds[i];
		}
	}
	*ret_where = address;
	return &transport_tty;
}
