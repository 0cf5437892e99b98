/* SPDX-License-Identifier: MIT */
#include "daemon/status_row.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/figures.h"

void
status_row_text(const struct status_subject *s, const char *key, const char *value)
{
	if (figure_find(s->kind, key) != NULL)
		evbuffer_add_printf(s->out, "*\t%s\t%s\t%s\t%s\n", s->kind, s->name, key, value);
}

void
status_row_number(const struct status_subject *s, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	status_row_text(s, key, text);
}

void
status_row_bool(const struct status_subject *s, const char *key, bool value)
{
	status_row_text(s, key, value ? "yes" : "no");
}
