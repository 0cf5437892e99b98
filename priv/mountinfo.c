/* SPDX-License-Identifier: MIT */
#include "priv/mountinfo.h"

#include <stdio.h>
#include <string.h>

static bool
is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void
mountinfo_unescape(char *text)
{
	char *out = text;

	for (const char *at = text; *at != '\0'; out++) {
		if (at[0] == '\\' && is_octal(at[1]) && is_octal(at[2]) && is_octal(at[3])) {
			*out = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*out = *at++;
		}
	}
	*out = '\0';
}

/* Fields are separated by single spaces. NULL at the end of the line. */
static char *
mountinfo_field(char **at)
{
	char *field = strsep(at, " ");

	return field == NULL || *field == '\0' ? NULL : field;
}

bool
mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *at = line, *field[6];
	struct mountinfo m;

	line[strcspn(line, "\n")] = '\0';
	/* id, parent, major:minor, root, mount point, options */
	for (int i = 0; i < 6; i++) {
		field[i] = mountinfo_field(&at);
		if (field[i] == NULL)
			return false;
	}
	if (sscanf(field[2], "%u:%u", &m.major, &m.minor) != 2)
		return false;
	/* any number of optional fields, ended by a hyphen */
	do {
		field[0] = mountinfo_field(&at);
		if (field[0] == NULL)
			return false;
	} while (strcmp(field[0], "-") != 0);
	m.point = field[4];
	m.type = mountinfo_field(&at);
	m.source = mountinfo_field(&at);
	if (m.type == NULL || m.source == NULL)
		return false;
	mountinfo_unescape(m.point);
	*ret = m;
	return true;
}
