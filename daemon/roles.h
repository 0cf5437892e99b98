/* SPDX-License-Identifier: MIT */
/* The processes of the service, of which the helpers (lib/priv/helper.h) are roles of this program.
 */
#ifndef DAEMON_ROLES_H
#define DAEMON_ROLES_H

#include "lib/priv/helper.h"

extern const struct helper_role *const roles[]; /* ends with NULL */

/* Prints the table of processes, as it stands in SECURITY.md. */
void roles_print(void);

#endif
