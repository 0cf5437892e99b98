/* SPDX-License-Identifier: MIT */
#include "backend/trust.h"

struct trust
trust_of(const struct source_config *config, bool exposed, bool can_mix)
{
	bool trusted = config->trust == SOURCE_TRUST_YES ||
		       (config->trust == SOURCE_TRUST_BY_ADDRESS && !exposed);
	struct trust trust = {.fate = can_mix ? TRUST_MIX : TRUST_NONE, .cure = ""};

	if (config->expanded)
		trust.why = "its class is expanded, and what we serve is direct";
	else if (!trusted && config->trust == SOURCE_TRUST_NO)
		trust.why = "it is not trusted, as configured";
	else if (!trusted)
		trust.why = "it is not trusted, since strangers can read and change what plain TCP"
			    " carries",
		trust.cure = "; on a private link write: trusted = yes";
	else
		trust = (struct trust){.fate = TRUST_POOL, .credit = config->credit};
	return trust;
}
