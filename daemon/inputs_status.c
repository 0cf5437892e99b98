/* SPDX-License-Identifier: MIT */
/* The rows of the sources, for daemon/status.h. */
#include "daemon/daemon.h"
#include "daemon/inputs.h"
#include "daemon/row.h"

static void
source_row(void *arg, const struct source_row *row)
{
	if (row->text != NULL)
		row_text(arg, row->key, row->text);
	else
		row_number(arg, row->key, row->number);
}

/* What a section has that its sources have not. */
static void
section_rows(const struct sources *sources, struct evbuffer *out)
{
	struct sources_status status;
	struct row_subject s = {out, "source", NULL};

	sources_status(sources, &status);
	s.name = status.name;
	if (status.any || status.list)
		row_text(&s, "address", status.address);
	row_number(&s, "expected", status.expected);
	row_number(&s, "present", status.present);
	for (size_t i = 0; sources_at(sources, i) != NULL; i++) {
		struct source_status one;

		source_status(sources_at(sources, i), &one);
		s.name = one.name;
		source_rows(&one, source_row, &s);
	}
}

void
inputs_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	(void)d, (void)i;
	if (running != NULL)
		section_rows(running, out);
}
