/* SPDX-License-Identifier: MIT */
#include "daemon/roles.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "daemon/mount_helper.h"
#include "lib/priv/connect_helper.h"
#include "lib/priv/resolver.h"
#include "lib/priv/rng_helper.h"
#include "lib/priv/usb.h"

const struct helper_role *const roles[] = {
	&rng_helper_role, &connect_helper_role, &priv_usb_role,
	&resolver_role,   &mount_helper_role,   NULL,
};

static const char *
capability_text(int capability)
{
	switch (capability) {
	case CAP_SYS_ADMIN:
		return "CAP_SYS_ADMIN";
	case CAP_DAC_OVERRIDE:
		return "CAP_DAC_OVERRIDE";
	default:
		return "none";
	}
}

/* Of many only that they are. */
static void
print_calls(const struct sandbox *sandbox)
{
	if (sandbox->refusal == SANDBOX_EPERM) {
		printf("the calls that name services need; another fails");
		return;
	}
	for (const struct sandbox_call *call = sandbox->calls; call->name != NULL; call++)
		if (call == sandbox->calls || strcmp(call->name, call[-1].name) != 0)
			printf("%s%s, ", call->argument != 0 ? "some " : "", call->name);
	printf("the C library's; another ends it");
}

static void
print_role(const struct helper_role *role)
{
	printf("| `%s` | %s | %s | ", role->name,
	       role == &mount_helper_role ? "root" : "the daemon's",
	       capability_text(role->capability));
	print_calls(&role->sandbox);
	printf(" | %s; %u s for a request |\n", role->does, role->timeout_s);
}

void
roles_print(void)
{
	printf("| process | user | capability | system calls | does |\n|---|---|---|---|---|\n"
	       "| `ekey-randomd` | `user =`, else `ekey-random` | none after its start | the "
	       "unit's |"
	       " all that is not below |\n"
	       "| `ekey-tls` | `ekey-tls`; by hand that of the daemon's starter | none | a table of"
	       " its own; another fails | speaks TLS, with Landlock on its files |\n");
	for (size_t i = 0; roles[i] != NULL; i++)
		print_role(roles[i]);
}
