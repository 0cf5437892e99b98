/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "tool/ask.h"

#define STATUS_KEY_WIDTH 32

/* What a row is about: "source" and "k1" of "source\tk1\tstate\tkeyed". */
struct status_subject {
	char kind[CTL_LINE_MAX], name[CTL_LINE_MAX];
};

/* A heading whenever the subject changes, then one aligned line for each row. */
static void
print_status_row(void *arg, char *row)
{
	struct status_subject *last = arg;
	const char *kind = strsep(&row, "\t"), *name = strsep(&row, "\t");
	const char *key = strsep(&row, "\t"), *value = row;

	if (value == NULL)
		return; /* of a newer daemon: not ours to understand */
	if (strcmp(kind, last->kind) != 0 || strcmp(name, last->name) != 0) {
		printf("%s%s %s\n", last->kind[0] != '\0' ? "\n" : "", kind,
		       strcmp(name, "-") == 0 ? "" : name);
		snprintf(last->kind, sizeof(last->kind), "%s", kind);
		snprintf(last->name, sizeof(last->name), "%s", name);
	}
	printf("  %-*s %s\n", STATUS_KEY_WIDTH, key, value);
}

enum exit_code
tool_status(const struct tool_options *options, char **words)
{
	struct status_subject last = {.kind = ""};
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	(void)words;
	if (code != EXIT_OK)
		return code;
	code = ask(&c, "Status", print_status_row, &last);
	ctl_close(&c);
	return code;
}
