/* SPDX-License-Identifier: MIT */
/* Networks, "10.0.0.0/8", "2001:db8::/32", or one address, for rules on clients. Pure. */
#ifndef LIB_CIDR_H
#define LIB_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/address.h"

#define CIDR_TEXT_MAX 50 /* of the longest one, with its NUL */

struct cidr {
	sa_family_t family; /* AF_INET or AF_INET6 */
	uint8_t bits;       /* of the prefix, 0..32 or 0..128 */
	uint8_t prefix[16]; /* network order; zero beyond `bits` */
};

/* NULL, or what is wrong with the text; *ret is then not touched. */
const char *cidr_parse(const char *text, struct cidr *ret);

/* Of addresses that are neither IPv4 nor IPv6: false. A mapped IPv4 address counts as IPv4. */
bool cidr_has(const struct cidr *network, const struct address *address);

#endif
