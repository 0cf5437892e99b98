/* SPDX-License-Identifier: MIT */
/* The table of the types of sources, and the functions that look a type up in it. */
#include "backend/source_kind.h"

static const struct source_kind *const kinds[SOURCE_TYPES] = {
	[SOURCE_EKEY] = &source_ekey, [SOURCE_EGD] = &source_egd, [SOURCE_RAW] = &source_raw};
const struct num_word source_types[SOURCE_TYPES + 1] = {
	{"ekey", SOURCE_EKEY}, {"egd", SOURCE_EGD}, {"raw", SOURCE_RAW}, {NULL, 0}};

bool
source_type_needs_keyring(enum source_type type)
{
	return kinds[type]->needs_keyring;
}

unsigned
source_type_credit(enum source_type type)
{
	return kinds[type]->credit;
}

const char *
source_config_error(const struct source_config *config)
{
	return kinds[config->type]->check(config);
}

struct source *
source_new(const struct source_env *env, const struct source_config *config)
{
	return source_new_of(kinds[config->type], env, config);
}

void
source_rows(const struct source_status *s, source_row_fn *fn, void *arg)
{
	const struct source_row rows[] = {
		{"type", source_types[s->type].name, 0},
		{"address", s->address, 0},
		{"state", s->state, 0},
		{"connected", s->connected ? "yes" : "no", 0},
		{"serves", s->serves ? "yes" : "no", 0},
		{"paused", s->paused ? "yes" : "no", 0},
		{"use", s->use, 0},
		{"credit_bits_per_byte", NULL, s->credit},
		{"connects", NULL, s->connects},
		{"health", intake_state_text(s->health), 0},
		{"health_cause", intake_cause_text(s->cause), 0},
		{"health_alarms", NULL, s->intake.alarms},
		{"in", NULL, s->intake.in},
		{"pooled", NULL, s->intake.pooled},
		{"rejected", NULL, s->intake.rejected},
		{"held", NULL, s->intake.held},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fn(arg, &rows[i]);
	kinds[s->type]->rows(s, fn, arg);
}
