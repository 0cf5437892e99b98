/* SPDX-License-Identifier: MIT */
#include "daemon/parent_option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "priv/kept.h"

/* The number first: there it is found by a daemon that knows of no version. */
void
parent_option_write(char *ret, size_t size, int socket)
{
	snprintf(ret, size, "%d:%d", socket, KEPT_VERSION);
}

int
parent_option_read(const char *argument)
{
	const char *version = strchr(argument, ':');

	if (version != NULL && atoi(version + 1) == KEPT_VERSION)
		return atoi(argument);
	log_err("our parent is of another version, and does not know what to keep for us: it ends "
		"with us; start ekey-randomd again");
	return -EPROTO;
}
