/* SPDX-License-Identifier: MIT */
#include "lib/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/num.h"

#define MAPPED_BITS 96 /* of IPv6, before the address of IPv4 that is written in it */

/* The address without its port, in network order; *ret_bits is its length, or 0: no IP address. */
static const uint8_t *
network_bytes(const struct address *address, unsigned *ret_bits)
{
	switch (address->any.sa_family) {
	case AF_INET:
		*ret_bits = 32;
		return (const uint8_t *)&address->in4.sin_addr;
	case AF_INET6:
		*ret_bits = 128;
		return address->in6.sin6_addr.s6_addr;
	default:
		*ret_bits = 0;
		return NULL;
	}
}

/* Of byte `i`, what lies within a prefix of `bits`. */
static uint8_t
network_mask(unsigned bits, unsigned i)
{
	static const uint8_t masks[] = {0x00, 0x80, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc, 0xfe, 0xff};
	unsigned before = 8 * i;

	if (bits <= before)
		return 0;
	return masks[bits - before < 8 ? bits - before : 8];
}

static bool
network_split(const char *text, char ip[static INET6_ADDRSTRLEN], const char **ret_bits)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);

	/* A network is everywhere the same: there is no "%eth0" in it. */
	if (len >= INET6_ADDRSTRLEN || memchr(text, '%', len) != NULL)
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	*ret_bits = slash != NULL ? slash + 1 : NULL;
	return true;
}

const char *
cidr_parse(const char *text, struct cidr *ret)
{
	static const char wanted[] = "expected a network: 192.0.2.0/24, 2001:db8::/32";
	char ip[INET6_ADDRSTRLEN];
	const char *bits_text;
	struct address address;
	struct cidr network = {0};
	const uint8_t *bytes;
	unsigned max;
	uint64_t bits;

	if (!network_split(text, ip, &bits_text) || !address_from_ip(ip, 0, &address))
		return wanted;
	(void)network_bytes(&address, &max);
	bits = max;
	if (bits_text != NULL && !num_parse(bits_text, max, &bits))
		return wanted;
	if (max == 128 && bits >= MAPPED_BITS) { /* ::ffff:192.0.2.0/120 is of IPv4 */
		address_unmap(&address);
		bits -= address.any.sa_family == AF_INET ? MAPPED_BITS : 0;
	}
	bytes = network_bytes(&address, &max);
	network.family = address.any.sa_family;
	network.bits = (uint8_t)bits;
	for (unsigned i = 0; i < max / 8; i++) {
		network.prefix[i] = bytes[i] & network_mask(network.bits, i);
		/* It may be an address meant, or a prefix mistyped: too many would be let in. */
		if (network.prefix[i] != bytes[i])
			return "the network has bits beyond its prefix";
	}
	*ret = network;
	return NULL;
}

bool
cidr_has(const struct cidr *network, const struct address *address)
{
	struct address a = *address;
	const uint8_t *bytes;
	unsigned max;

	address_unmap(&a);
	bytes = network_bytes(&a, &max);
	if (a.any.sa_family != network->family)
		return false;
	for (unsigned i = 0; i < max / 8; i++)
		if (network->prefix[i] != (bytes[i] & network_mask(network->bits, i)))
			return false;
	return true;
}
