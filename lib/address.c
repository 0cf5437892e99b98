/* SPDX-License-Identifier: MIT */
#include "lib/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "lib/num.h"

#define PORT_MAX 65535
#define VSOCK_MAX (UINT32_MAX - 1) /* of a CID or port: the last is VMADDR_*_ANY */

static const char host_wanted[] = "expected HOST:PORT, or [ADDRESS]:PORT for IPv6";

/* ---- from text ---- */

static bool
address_parse_port(const char *text, uint16_t *ret)
{
	uint64_t port;

	if (!num_parse(text, PORT_MAX, &port) || port == 0)
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* Finds "HOST" or "[HOST]" before the last colon; `*ret_at` and `*ret_len` are without brackets. */
static bool
address_split(const char *text, const char **ret_at, size_t *ret_len, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';

	/* More colons are an IPv6 address, whose end cannot be told from the port. */
	if (len == 0 || (!brackets && memchr(text, ':', len) != NULL))
		return false;
	*ret_at = text + brackets;
	*ret_len = len - 2 * (size_t)brackets;
	*ret_port = colon + 1;
	return true;
}

static bool
address_is_host_text(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] <= ' ' || at[i] > '~' || strchr("[]/,", at[i]) != NULL)
			return false;
	return len > 0;
}

const char *
address_parse_host(const char *text, struct address_host *ret)
{
	const char *at, *port_text;
	uint16_t port;
	size_t len;

	if (!address_split(text, &at, &len, &port_text) || !address_is_host_text(at, len))
		return host_wanted;
	if (len >= sizeof(ret->host))
		return "the host's name is too long";
	if (!address_parse_port(port_text, &port))
		return "the port must be 1 to 65535";
	memcpy(ret->host, at, len);
	ret->host[len] = '\0';
	ret->port = port;
	return NULL;
}

static bool
address_from_ip4(const char *ip, uint16_t port, struct address *ret)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, ip, &in4.sin_addr) != 1)
		return false;
	*ret = (struct address){.len = sizeof(in4), .in4 = in4};
	return true;
}

/* With "%eth0", which a link-local address needs, where that interface is. */
static bool
address_from_ip6(const char *ip, uint16_t port, struct address *ret)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const char *scope = strchr(ip, '%');
	char bare[INET6_ADDRSTRLEN];
	size_t len = scope != NULL ? (size_t)(scope - ip) : strlen(ip);

	if (len >= sizeof(bare))
		return false;
	memcpy(bare, ip, len);
	bare[len] = '\0';
	if (scope != NULL)
		in6.sin6_scope_id = if_nametoindex(scope + 1);
	if (inet_pton(AF_INET6, bare, &in6.sin6_addr) != 1 ||
	    (scope != NULL && in6.sin6_scope_id == 0))
		return false;
	*ret = (struct address){.len = sizeof(in6), .in6 = in6};
	return true;
}

bool
address_from_ip(const char *ip, uint16_t port, struct address *ret)
{
	return address_from_ip4(ip, port, ret) || address_from_ip6(ip, port, ret);
}

/* Why address_from_ip() takes no such host. */
static const char *
address_ip_error(const char *host)
{
	size_t len = strcspn(host, "%");
	char bare[ADDRESS_HOST_MAX];
	struct address address;

	snprintf(bare, sizeof(bare), "%.*s", (int)len, host);
	return host[len] == '%' && address_from_ip6(bare, 0, &address)
		       ? "this machine has no interface of the name after %"
		       : "expected an address in numbers, not a name";
}

const char *
address_parse_inet(const char *text, struct address *ret)
{
	struct address_host host;
	const char *problem = address_parse_host(text, &host);

	if (problem == NULL && !address_from_ip(host.host, host.port, ret))
		problem = address_ip_error(host.host);
	return problem;
}

static struct address
address_of_vsock(unsigned cid, unsigned port)
{
	return (struct address){.len = sizeof(struct sockaddr_vm),
				.vm = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port}};
}

const char *
address_parse_vsock_listen(const char *text, struct address *ret)
{
	uint64_t port;

	if (!num_parse(text, VSOCK_MAX, &port) || port == 0)
		return "expected a vsock port, a number";
	*ret = address_of_vsock(VMADDR_CID_ANY, (unsigned)port);
	return NULL;
}

const char *
address_parse_vsock(const char *text, struct address *ret)
{
	const char *colon = strchr(text, ':');
	char cid_text[sizeof("4294967295")];
	uint64_t cid, port;
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;

	if (len == 0 || len >= sizeof(cid_text))
		return "expected CID:PORT, two numbers; the host is CID 2";
	memcpy(cid_text, text, len);
	cid_text[len] = '\0';
	if (!num_parse(cid_text, VSOCK_MAX, &cid) || !num_parse(colon + 1, VSOCK_MAX, &port) ||
	    port == 0)
		return "expected CID:PORT, two numbers; the host is CID 2";
	*ret = address_of_vsock((unsigned)cid, (unsigned)port);
	return NULL;
}

/* ---- to text, and questions ---- */

void
address_unmap(struct address *address)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};

	if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return;
	in4.sin_port = address->in6.sin6_port;
	memcpy(&in4.sin_addr, &address->in6.sin6_addr.s6_addr[12], sizeof(in4.sin_addr));
	*address = (struct address){.len = sizeof(in4), .in4 = in4};
}

static void
address_text_ip6(const struct sockaddr_in6 *in6, char ret[static ADDRESS_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN], scope[1 + sizeof("4294967295")] = "";

	inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
	if (in6->sin6_scope_id != 0)
		snprintf(scope, sizeof(scope), "%%%u", in6->sin6_scope_id);
	snprintf(ret, ADDRESS_TEXT_MAX, "[%s%s]:%u", ip, scope, ntohs(in6->sin6_port));
}

void
address_text(const struct address *address, char ret[static ADDRESS_TEXT_MAX])
{
	char ip[INET_ADDRSTRLEN];

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->in4.sin_addr, ip, sizeof(ip));
		snprintf(ret, ADDRESS_TEXT_MAX, "%s:%u", ip, ntohs(address->in4.sin_port));
		break;
	case AF_INET6:
		address_text_ip6(&address->in6, ret);
		break;
	case AF_VSOCK:
		snprintf(ret, ADDRESS_TEXT_MAX, "vsock %u:%u", address->vm.svm_cid,
			 address->vm.svm_port);
		break;
	default:
		snprintf(ret, ADDRESS_TEXT_MAX, "%s",
			 address->any.sa_family == AF_UNIX ? "unix" : "unknown");
	}
}

bool
address_is_loopback(const struct address *address)
{
	struct address a = *address;

	address_unmap(&a);
	if (a.any.sa_family == AF_INET)
		return ntohl(a.in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return a.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
}
