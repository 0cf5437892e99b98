/* SPDX-License-Identifier: MIT */
#include "egd/networks.h"

#include <ifaddrs.h>
#include <pwd.h>
#include <string.h>

#include "base/num.h"

#define BETWEEN " ,"

/* Gives each word to `add`; NULL, or what is wrong with the first that is bad. */
static const char *
each_word(const char *text, const char *(*add)(const char *word, void *arg), void *arg)
{
	for (text += strspn(text, BETWEEN); *text != '\0'; text += strspn(text, BETWEEN)) {
		size_t len = strcspn(text, BETWEEN);
		char word[NETWORK_TEXT_MAX];
		const char *error;

		if (len >= sizeof(word))
			return "no network has so many characters";
		memcpy(word, text, len);
		word[len] = '\0';
		error = add(word, arg);
		if (error != NULL)
			return error;
		text += len;
	}
	return NULL;
}

static const char *
add_network(const char *word, void *arg)
{
	struct egd_networks *networks = arg;
	struct network network;
	const char *error = network_parse(word, &network);

	if (error != NULL)
		return error;
	if (networks->count == EGD_NETWORKS_MAX)
		return "too many networks: 16 are possible";
	networks->at[networks->count++] = network;
	return NULL;
}

const char *
egd_networks_parse(const char *text, struct egd_networks *ret)
{
	struct egd_networks networks = {0};
	const char *error = each_word(text, add_network, &networks);

	if (error == NULL)
		*ret = networks;
	return error;
}

static bool
find_user(const char *word, uid_t *ret)
{
	const struct passwd *user = getpwnam(word);
	uint64_t number;

	if (user != NULL)
		*ret = user->pw_uid;
	else if (num_parse(word, UINT32_MAX - 1, &number))
		*ret = (uid_t)number;
	else
		return false;
	return true;
}

static const char *
add_proxy(const char *word, void *arg)
{
	struct egd_proxies *proxies = arg;
	const char *error = add_network(word, &proxies->networks);
	uid_t uid;

	if (error == NULL || strpbrk(word, "/:.") != NULL)
		return error;
	if (!find_user(word, &uid))
		return "it is neither a network nor a user of this machine";
	if (proxies->count == EGD_NETWORKS_MAX)
		return "too many users: 16 are possible";
	proxies->uids[proxies->count++] = uid;
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
egd_networks_have(const struct egd_networks *networks, const struct address *address)
{
	for (unsigned i = 0; i < networks->count; i++)
		if (network_has(&networks->at[i], address))
			return true;
	return false;
}

bool
egd_proxies_have(const struct egd_proxies *proxies, const struct address *address, uid_t uid)
{
	if (address->any.sa_family != AF_UNIX)
		return egd_networks_have(&proxies->networks, address);
	for (unsigned i = 0; i < proxies->count; i++)
		if (proxies->uids[i] == uid)
			return true;
	return false;
}

static bool
have_loopback(const struct egd_networks *networks)
{
	struct address four, six;

	(void)address_from_ip("127.0.0.1", 0, &four);
	(void)address_from_ip("::1", 0, &six);
	for (unsigned i = 0; i < networks->count; i++) {
		const struct network *n = &networks->at[i];

		if (network_has(n, &four) || network_has(n, &six) ||
		    (n->family == AF_INET && n->prefix[0] == IN_LOOPBACKNET))
			return true;
	}
	return false;
}

static bool
have_interface(const struct egd_networks *networks, const struct sockaddr *at)
{
	struct address address = {0};

	if (at == NULL)
		return false;
	if (at->sa_family == AF_INET)
		memcpy(&address.in4, at, sizeof(address.in4));
	else if (at->sa_family == AF_INET6)
		memcpy(&address.in6, at, sizeof(address.in6));
	return egd_networks_have(networks, &address);
}

bool
egd_networks_have_own(const struct egd_networks *networks)
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
