/* SPDX-License-Identifier: MIT */
/* A list of networks, as a configuration writes it: "10.0.0.0/8, 2001:db8::/32, 192.0.2.7". */
#ifndef EGD_NETWORKS_H
#define EGD_NETWORKS_H

#include "base/network.h"

#define EGD_NETWORKS_MAX 16
#define EGD_NETWORKS_TEXT_MAX 192 /* bytes with the NUL: a line of the configuration */

struct egd_networks {
	unsigned count;
	struct network at[EGD_NETWORKS_MAX];
};

/* NULL, or what is wrong with the text; an empty one has no networks. */
const char *egd_networks_parse(const char *text, struct egd_networks *ret);

/* Whether one of them has it. */
bool egd_networks_have(const struct egd_networks *networks, const struct address *address);

#endif
