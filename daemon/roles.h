/* SPDX-License-Identifier: MIT */
/* The helper processes of ekey-randomd (priv/helper.h). */
#ifndef DAEMON_ROLES_H
#define DAEMON_ROLES_H

#include "priv/helper.h"

extern const struct helper_role *const roles[]; /* ends with NULL */

#endif
