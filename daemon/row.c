/* SPDX-License-Identifier: MIT */
#include "daemon/row.h"

#include <inttypes.h>

void
row_text(const struct row_subject *s, const char *key, const char *value)
{
	evbuffer_add_printf(s->out, "*\t%s\t%s\t%s\t%s\n", s->kind, s->name, key, value);
}

void
row_number(const struct row_subject *s, const char *key, uint64_t value)
{
	evbuffer_add_printf(s->out, "*\t%s\t%s\t%s\t%" PRIu64 "\n", s->kind, s->name, key, value);
}

void
row_bool(const struct row_subject *s, const char *key, bool value)
{
	row_text(s, key, value ? "yes" : "no");
}
