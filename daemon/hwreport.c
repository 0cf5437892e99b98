/* SPDX-License-Identifier: MIT */
#include "daemon/hwreport.h"

#include <string.h>

#include "backend/report.h"
#include "daemon/inputs.h"
#include "lib/version.h"

/* Each line of the report is a row; drains it. */
static void
hwreport_rows(struct evbuffer *report, struct evbuffer *out)
{
	struct evbuffer_ptr end;

	while ((end = evbuffer_search_eol(report, NULL, NULL, EVBUFFER_EOL_LF)).pos >= 0) {
		evbuffer_add_printf(out, "*\t");
		evbuffer_remove_buffer(report, out, (size_t)end.pos + 1);
	}
}

/* All, or the one with this serial number. */
const char *
hwreport_write(void *arg, const struct ctl_request *request)
{
	struct evbuffer *report = evbuffer_new();
	const struct source *source;
	bool found = false;

	if (report == NULL)
		return "no memory";
	evbuffer_add_printf(report, "ekey-randomd %s\n", VERSION);
	for (size_t i = 0; (source = inputs_at(arg, i)) != NULL; i++) {
		struct source_status status;

		source_status(source, &status);
		if (status.type != SOURCE_EKEY)
			continue;
		if (request->words[0] != '\0' && strcmp(request->words, status.ekey.serial) != 0)
			continue;
		evbuffer_add_printf(report, "\n");
		report_write(report, source);
		found = true;
	}
	if (found)
		hwreport_rows(report, request->out);
	evbuffer_free(report);
	return found ? NULL : "there is no such key";
}
