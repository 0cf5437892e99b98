/* SPDX-License-Identifier: MIT */
/* One row of the status: "*\tKIND\tNAME\tKEY\tVALUE", of a figure of daemon/figures.h. */
#ifndef DAEMON_ROW_H
#define DAEMON_ROW_H

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdint.h>

#define ROW_ONLY_ONE "-" /* the name of what has none */

/* Whose rows are being written. */
struct row_subject {
	struct evbuffer *out;
	const char *kind, *name;
};

void row_text(const struct row_subject *s, const char *key, const char *value);
void row_number(const struct row_subject *s, const char *key, uint64_t value);
void row_bool(const struct row_subject *s, const char *key, bool value); /* "yes" or "no" */

#endif
