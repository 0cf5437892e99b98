/* SPDX-License-Identifier: MIT */
/* One row of the status: "*\tKIND\tNAME\tKEY\tVALUE", of a figure of daemon/figures.h. */
#ifndef DAEMON_STATUS_ROW_H
#define DAEMON_STATUS_ROW_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdint.h>

#define ROW_ONLY_ONE "-" /* the name of what has none */

/* Whose rows are being written. */
struct status_subject {
	struct evbuffer *out;
	const char *kind, *name;
};

void status_row_text(const struct status_subject *s, const char *key, const char *value);
void status_row_number(const struct status_subject *s, const char *key, uint64_t value);
void status_row_bool(const struct status_subject *s, const char *key,
		     bool value); /* "yes" or "no" */

#endif
