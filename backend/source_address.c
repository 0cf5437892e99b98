/* SPDX-License-Identifier: MIT */
#include "backend/source_address.h"

#include <stdio.h>
#include <string.h>

#include "backend/transport/link.h"
#include "backend/transport/net_transport.h"

#define BETWEEN ","
#define BLANKS " \t"

_Static_assert(SOURCE_ADDRESS_MAX <= LINK_ADDRESS_MAX, "a link shows its whole address");

const char *
source_address_error(const char *address)
{
	const char *where;
	const struct transport_kind *kind = transport_find(address, &where);

	return kind->check(where);
}

bool
source_address_is_any(const char *address)
{
	return strcmp(address, SOURCE_ADDRESS_ANY) == 0;
}

bool
source_address_is_usb(const char *address)
{
	return source_address_is_any(address) ||
	       strncmp(address, SOURCE_ADDRESS_USB, strlen(SOURCE_ADDRESS_USB)) == 0;
}

bool
source_address_is_path(const char *address)
{
	return address[0] == '/' || strncmp(address, "unix:", strlen("unix:")) == 0;
}

bool
source_address_is_list(const char *address)
{
	return strstr(address, BETWEEN) != NULL;
}

bool
source_address_next(const char **rest, char ret[static SOURCE_ADDRESS_MAX])
{
	const char *at = *rest;
	size_t len;

	if (at == NULL)
		return false;
	at += strspn(at, BLANKS);
	len = strcspn(at, BETWEEN);
	*rest = at[len] != '\0' ? at + len + strlen(BETWEEN) : NULL;
	while (len > 0 && strchr(BLANKS, at[len - 1]) != NULL)
		len--;
	snprintf(ret, SOURCE_ADDRESS_MAX, "%.*s", (int)len, at);
	return true;
}

const char *
source_addresses_error(const char *addresses)
{
	char one[SOURCE_ADDRESS_MAX];
	const char *error = NULL;

	if (source_address_is_any(addresses))
		return NULL;
	while (error == NULL && source_address_next(&addresses, one))
		error = source_address_error(one);
	return error;
}

bool
source_addresses_use_tls(const char *addresses)
{
	char at[SOURCE_ADDRESS_MAX];

	while (source_address_next(&addresses, at))
		if (strncmp(at, transport_tls.prefix, strlen(transport_tls.prefix)) == 0)
			return true;
	return false;
}

bool
source_addresses_have(const char *addresses, const char *one)
{
	char at[SOURCE_ADDRESS_MAX];

	while (source_address_next(&addresses, at))
		if (strcmp(at, one) == 0)
			return true;
	return false;
}
