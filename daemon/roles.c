/* SPDX-License-Identifier: MIT */
#include "daemon/roles.h"

#include "priv/connect_helper.h"
#include "priv/rng_helper.h"

const struct helper_role *const roles[] = {
	&rng_helper_role,
	&connect_helper_role,
	NULL,
};
