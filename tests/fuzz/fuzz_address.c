/* SPDX-License-Identifier: MIT */
/* Addresses and networks as text: what is taken reads the same when it is written out again. */
#include <string.h>

#include "lib/address.h"
#include "lib/cidr.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX 400

static void
check_address(const struct address *address)
{
	char text[ADDRESS_TEXT_MAX], again_text[ADDRESS_TEXT_MAX];
	struct address again;

	address_text(address, text);
	promise(memchr(text, '\0', sizeof(text)) != NULL, "an address fits its text");
	if (address->any.sa_family == AF_VSOCK || strchr(text, '%') != NULL)
		return;
	promise(address_parse_inet(text, &again) == NULL, "what is written is read");
	address_text(&again, again_text);
	promise(strcmp(text, again_text) == 0, "what is written is read the same");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX + 1];
	struct address address = {0};
	struct address_host host;
	struct cidr network = {0};
	size_t len = size < TEXT_MAX ? size : TEXT_MAX;

	memcpy(text, data, len);
	text[len] = '\0';
	if (address_parse_host(text, &host) == NULL)
		promise(host.port > 0 && host.host[0] != '\0', "a host has a name and a port");
	if (address_parse_vsock(text, &address) == NULL)
		check_address(&address);
	if (address_parse_inet(text, &address) == NULL)
		check_address(&address);
	if (cidr_parse(text, &network) == NULL)
		(void)cidr_has(&network, &address);
	return 0;
}
