/* SPDX-License-Identifier: MIT */
#include "egd/networks.h"

#include <string.h>

#define BETWEEN " ,"

const char *
egd_networks_parse(const char *text, struct egd_networks *ret)
{
	struct egd_networks networks = {0};

	for (text += strspn(text, BETWEEN); *text != '\0'; text += strspn(text, BETWEEN)) {
		size_t len = strcspn(text, BETWEEN);
		char one[NETWORK_TEXT_MAX];
		const char *error;

		if (networks.count == EGD_NETWORKS_MAX)
			return "too many networks: 16 are possible";
		if (len >= sizeof(one))
			return "no network has so many characters";
		memcpy(one, text, len);
		one[len] = '\0';
		error = network_parse(one, &networks.at[networks.count++]);
		if (error != NULL)
			return error;
		text += len;
	}
	*ret = networks;
	return NULL;
}

bool
egd_networks_have(const struct egd_networks *networks, const struct address *address)
{
	for (unsigned i = 0; i < networks->count; i++)
		if (network_has(&networks->at[i], address))
			return true;
	return false;
}
