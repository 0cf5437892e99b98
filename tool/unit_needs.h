/* SPDX-License-Identifier: MIT */
/*
 * Which part of a configuration needs which rights that the shipped units do not have: one table
 * for each unit. All settings in them add up when they are repeated.
 */
#ifndef TOOL_UNIT_NEEDS_H
#define TOOL_UNIT_NEEDS_H

#include <stdbool.h>

#include "daemon/config.h"

#define UNIT_VALUE_MAX 512 /* more than any address, path or list of a configuration */

/* One thing that may need a right; what does not apply is NULL or "". */
struct unit_part {
	const struct config *config;
	const struct egd_listen_config *listen;
	const struct device_config *device;
	char source[SOURCE_ADDRESS_MAX]; /* one address of a source, or one word of ekey-feed's
					  */
	const char *at;                  /* an address that is listened at */
	const char *allow, *proxy;       /* and for which networks; set with `at` */
	bool whole;                      /* the rest of the configuration, and the machine */
};

struct unit_need {
	const char *what;
	/* Whether the part needs these lines; *ret stands in them for each %s. */
	bool (*has)(const struct unit_part *part, char ret[static UNIT_VALUE_MAX]);
	const char *unit, *service; /* lines of [Unit] and [Service] */
};

/* They end with a NULL `what`. */
extern const struct unit_need unit_daemon_needs[], unit_feed_needs[];

#endif
