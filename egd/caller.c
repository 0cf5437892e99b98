/* SPDX-License-Identifier: MIT */
#include "egd/caller.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/net.h"

/* Of a Unix socket the user, too. */
static int
look_at(int fd, const struct address *address, struct egd_caller *ret)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	if (address->any.sa_family == AF_UNIX &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		return -errno;
	*ret = (struct egd_caller){.address = *address, .uid = who.uid};
	return 0;
}

int
egd_caller_accept(int listener, struct egd_caller *ret)
{
	struct address address;
	int result, fd = net_accept(listener, &address);

	if (fd < 0)
		return fd;
	result = look_at(fd, &address, ret);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

/* FNV-1a: names are proven, or the administrator's, before they come here, so nobody can search for
 * two that are alike. */
static uint64_t
name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash;
}

/* The network and the address in it; of a link-local one the network is the link. */
static void
split_ip6(const struct sockaddr_in6 *in6, struct pool_client *ret)
{
	uint64_t halves[2];

	memcpy(halves, &in6->sin6_addr, sizeof(halves));
	ret->number = be64toh(halves[0]);
	ret->host = be64toh(halves[1]);
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		ret->number ^= in6->sin6_scope_id;
}

void
egd_caller_identity(const struct egd_caller *caller, const char *name, struct pool_client *ret)
{
	const struct address *address = &caller->address;

	ret->host = 0;
	if (caller->guest != NULL) {
		ret->kind = IDENTITY_DOMAIN;
		ret->number = name_hash(caller->guest);
	} else if (name[0] != '\0') {
		ret->kind = IDENTITY_TLS;
		ret->number = name_hash(name);
	} else if (address->any.sa_family == AF_INET) {
		ret->kind = IDENTITY_IPV4;
		ret->number = ntohl(address->in4.sin_addr.s_addr);
	} else if (address->any.sa_family == AF_INET6) {
		ret->kind = IDENTITY_IPV6;
		split_ip6(&address->in6, ret);
	} else if (address->any.sa_family == AF_VSOCK) {
		ret->kind = IDENTITY_VSOCK;
		ret->number = address->vm.svm_cid;
	} else {
		ret->kind = IDENTITY_UID;
		ret->number = caller->uid;
	}
}

uint64_t
egd_caller_number(const struct egd_caller *caller)
{
	struct pool_client client = {0};

	egd_caller_identity(caller, "", &client);
	return client.number;
}

void
egd_caller_text(const struct egd_caller *caller, const char *name,
		char ret[static EGD_CALLER_TEXT_MAX])
{
	char text[ADDRESS_TEXT_MAX];

	if (caller->guest != NULL) {
		snprintf(ret, EGD_CALLER_TEXT_MAX, "guest %s", caller->guest);
		return;
	}
	if (caller->address.any.sa_family == AF_UNIX)
		snprintf(text, sizeof(text), "uid %u", (unsigned)caller->uid);
	else
		address_text(&caller->address, text);
	snprintf(ret, EGD_CALLER_TEXT_MAX, "%s%s%s", name, name[0] != '\0' ? " at " : "", text);
}
