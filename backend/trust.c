/* SPDX-License-Identifier: MIT */
#include "backend/trust.h"

const struct trust_doubt trust_exposed = {
	"it is not trusted, since strangers can read and change what plain TCP carries",
	"; on a private link write: trusted = yes"};

struct trust
trust_of(const struct source_config *config, const struct trust_doubt *doubt, bool can_mix)
{
	struct trust trust = {.fate = can_mix ? TRUST_MIX : TRUST_NONE};

	if (config->expanded)
		trust.doubt = (struct trust_doubt){
			"its class is expanded, and what we serve is direct", ""};
	else if (config->trust == SOURCE_TRUST_NO)
		trust.doubt = (struct trust_doubt){"it is not trusted, as configured", ""};
	else if (config->trust == SOURCE_TRUST_BY_ADDRESS && doubt != NULL)
		trust.doubt = *doubt;
	else
		trust = (struct trust){.fate = TRUST_POOL, .credit = config->credit};
	return trust;
}
