/* SPDX-License-Identifier: MIT */
#include "backend/xen_transport.h"

#include "backend/fd_transport.h"
#include "base/xen_channel.h"

static const char *
xen_check(const char *where)
{
	return where[0] == '\0' ? NULL : "only xen is needed: its channel has a name";
}

/* What is opened is a tty, and called as one. */
static int
xen_open(const struct transport_env *env, const char *where, const struct transport_events *events,
	 struct transport **ret)
{
	char path[XEN_CHANNEL_PATH_MAX];
	int result = xen_channel_find(XEN_CHANNEL_NAME, path);

	(void)where;
	return result == 0 ? transport_tty.open(env, path, events, ret) : result;
}

static void
xen_close(struct transport *transport)
{
	transport_tty.close(transport);
}

static void
xen_send(struct transport *transport, const uint8_t *bytes, size_t len)
{
	transport_tty.send(transport, bytes, len);
}

static void
xen_set_reading(struct transport *transport, bool on)
{
	transport_tty.set_reading(transport, on);
}

const struct transport_kind transport_xen = {
	.prefix = "xen",
	.check = xen_check,
	.open = xen_open,
	.close = xen_close,
	.send = xen_send,
	.set_reading = xen_set_reading,
	.keeps = true,
	.error_text = xen_channel_error_text,
};
