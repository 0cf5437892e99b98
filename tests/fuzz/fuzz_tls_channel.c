/* SPDX-License-Identifier: MIT */
/*
 * A message to ekey-tls; the first byte is how many descriptors came with it. Of a good one each
 * text has an end, so that no one is read beyond its field.
 */
#include <string.h>

#include "lib/priv/tls_channel.h"
#include "tests/fuzz/fuzz.h"

static bool
ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union tls_message message = {0};
	unsigned fds = size > 0 ? data[0] : 0;
	size_t len = size > 0 ? size - 1 : 0;
	bool of_keys;

	memcpy(&message, data + (size > 0), len < sizeof(message) ? len : sizeof(message));
	if (!tls_message_is_good(&message, len, fds))
		return 0;
	of_keys = message.kind == TLS_KEYS;
	promise(len == (of_keys ? sizeof(message.keys) : sizeof(message.order)), "its exact size");
	promise(fds == (message.kind == TLS_ACCEPT || message.kind == TLS_CONNECT ? 2 : 0),
		"as many descriptors as its kind has");
	if (of_keys)
		promise(ends(message.keys.section, sizeof(message.keys.section)) &&
				ends(message.keys.files.psk, sizeof(message.keys.files.psk)) &&
				ends(message.keys.files.cert, sizeof(message.keys.files.cert)) &&
				ends(message.keys.files.key, sizeof(message.keys.files.key)) &&
				ends(message.keys.files.ca, sizeof(message.keys.files.ca)) &&
				ends(message.keys.files.identity,
				     sizeof(message.keys.files.identity)),
			"texts of keys end");
	else
		promise(ends(message.order.section, sizeof(message.order.section)) &&
				ends(message.order.peer_name, sizeof(message.order.peer_name)),
			"texts of an order end");
	return 0;
}
