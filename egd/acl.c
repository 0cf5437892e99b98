/* SPDX-License-Identifier: MIT */
#include "egd/acl.h"

#include <ifaddrs.h>
#include <pwd.h>
#include <string.h>

#include "lib/num.h"

#define SEPARATORS " ,"

/* Passes each word to `add`. NULL, or the error of the first bad one. */
static const char *
each_word(const char *text, const char *(*add)(const char *word, struct egd_proxies *ret),
	  struct egd_proxies *ret)
{
	const char *error = NULL;

	for (text += strspn(text, SEPARATORS); *text != '\0' && error == NULL;
	     text += strspn(text, SEPARATORS)) {
		size_t len = strcspn(text, SEPARATORS);
		char word[CIDR_TEXT_MAX];

		if (len >= sizeof(word))
			return "a network has at most 49 characters";
		memcpy(word, text, len);
		word[len] = '\0';
		error = add(word, ret);
		text += len;
	}
	return error;
}

static const char *
add_network(const char *word, struct egd_proxies *ret)
{
	struct egd_acl *networks = &ret->networks;
	struct cidr network;
	const char *error = cidr_parse(word, &network);

	if (error != NULL)
		return error;
	if (networks->count == EGD_ACL_MAX)
		return "at most 16 networks";
	networks->at[networks->count++] = network;
	return NULL;
}

const char *
egd_acl_parse(const char *text, struct egd_acl *ret)
{
	struct egd_proxies proxies = {0};
	const char *error = each_word(text, add_network, &proxies);

	if (error == NULL)
		*ret = proxies.networks;
	return error;
}

static bool
find_user(const char *word, uid_t *ret)
{
	const struct passwd *user = getpwnam(word);
	uint64_t number;

	if (user == NULL && !num_parse(word, UINT32_MAX - 1, &number))
		return false;
	*ret = user != NULL ? user->pw_uid : (uid_t)number;
	return true;
}

static const char *
add_proxy(const char *word, struct egd_proxies *ret)
{
	const char *error = add_network(word, ret);
	uid_t uid;

	if (error == NULL || strpbrk(word, "/:.") != NULL)
		return error;
	if (!find_user(word, &uid))
		return "expected a network, or a user of this machine";
	if (ret->count == EGD_ACL_MAX)
		return "at most 16 users";
	ret->uids[ret->count++] = uid;
	return NULL;
}

const char *
egd_proxies_parse(const char *text, struct egd_proxies *ret)
{
	struct egd_proxies proxies = {0};
	const char *error = each_word(text, add_proxy, &proxies);

	if (error == NULL)
		*ret = proxies;
	return error;
}

bool
egd_acl_have(const struct egd_acl *networks, const struct address *address)
{
	for (unsigned i = 0; i < networks->count; i++)
		if (cidr_has(&networks->at[i], address))
			return true;
	return false;
}

bool
egd_proxies_have(const struct egd_proxies *proxies, const struct address *address, uid_t uid)
{
	if (address->any.sa_family != AF_UNIX)
		return egd_acl_have(&proxies->networks, address);
	for (unsigned i = 0; i < proxies->count; i++)
		if (proxies->uids[i] == uid)
			return true;
	return false;
}

static bool
have_loopback(const struct egd_acl *networks)
{
	struct address four, six;

	(void)address_from_ip("127.0.0.1", 0, &four);
	(void)address_from_ip("::1", 0, &six);
	for (unsigned i = 0; i < networks->count; i++) {
		const struct cidr *n = &networks->at[i];

		if (cidr_has(n, &four) || cidr_has(n, &six) ||
		    (n->family == AF_INET && n->prefix[0] == IN_LOOPBACKNET))
			return true;
	}
	return false;
}

static bool
have_interface(const struct egd_acl *networks, const struct sockaddr *at)
{
	struct address address = {0};

	if (at == NULL)
		return false;
	if (at->sa_family == AF_INET)
		memcpy(&address.in4, at, sizeof(address.in4));
	else if (at->sa_family == AF_INET6)
		memcpy(&address.in6, at, sizeof(address.in6));
	return egd_acl_have(networks, &address);
}

bool
egd_acl_have_own(const struct egd_acl *networks)
{
	bool own = have_loopback(networks);
	struct ifaddrs *all;

	if (own || networks->count == 0 || getifaddrs(&all) != 0)
		return own;
	for (const struct ifaddrs *one = all; one != NULL && !own; one = one->ifa_next)
		own = have_interface(networks, one->ifa_addr);
	freeifaddrs(all);
	return own;
}
