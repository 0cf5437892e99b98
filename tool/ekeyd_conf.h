/* SPDX-License-Identifier: MIT */
/*
 * Reads what configured ekeyd: ekeyd.conf, which is Lua, of which people use one call a line, and
 * /etc/default/ekeyd*, which is shell, of which they use assignments. Nothing is run: a line that
 * is neither is told as such. PROTOCOL 7.
 */
#ifndef TOOL_EKEYD_CONF_H
#define TOOL_EKEYD_CONF_H

#include <stddef.h>

#define EKEYD_ARGS_MAX 4
#define EKEYD_ARG_MAX 200 /* with its NUL, as of a name */

/* `Name "A"`, `Name(A, B)` or `Name=A`: strings without their quotes, numbers and words as written.
 */
struct ekeyd_line {
	unsigned number; /* from 1 */
	char name[EKEYD_ARG_MAX];
	size_t count;
	char args[EKEYD_ARGS_MAX][EKEYD_ARG_MAX];
};

enum ekeyd_found {
	EKEYD_LINE,
	EKEYD_STRANGE, /* the line is something else; only `number` is set */
	EKEYD_END,
};

struct ekeyd_reader {
	const char *at, *end;
	unsigned number; /* of the line before `at` */
};

void ekeyd_reader_init(struct ekeyd_reader *r, const char *text, size_t len);

/* The next line that is neither empty nor a comment. */
enum ekeyd_found ekeyd_next_call(struct ekeyd_reader *r, struct ekeyd_line *ret);
enum ekeyd_found ekeyd_next_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret);

#endif
