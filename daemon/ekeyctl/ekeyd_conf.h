/* SPDX-License-Identifier: MIT */
/*
 * Reads the configuration of ekeyd: ekeyd.conf, which is Lua, and the shell's files for its daemons
 * (/etc/default/ekeyd*). Calls of Lua and assignments of the shell are read where their arguments
 * are literals and no condition or loop is around them. No code is run: each other statement is
 * reported by its lines. doc/protocol.md 7.
 */
#ifndef DAEMON_EKEYCTL_EKEYD_CONF_H
#define DAEMON_EKEYCTL_EKEYD_CONF_H

#include <stddef.h>

#define EKEYD_ARGS_MAX 4
#define EKEYD_ARG_MAX 200 /* with its NUL, as of a name */

/* `Name "A"`, `Name(A, B)` or `Name=A`: strings without their quotes, numbers and words as written.
 */
struct ekeyd_line {
	unsigned number, last; /* the lines of the statement, from 1 */
	char name[EKEYD_ARG_MAX];
	size_t count;
	char args[EKEYD_ARGS_MAX][EKEYD_ARG_MAX];
};

enum ekeyd_found {
	EKEYD_LINE,
	EKEYD_STRANGE, /* another statement; only its lines are set */
	EKEYD_END,
};

struct ekeyd_reader {
	const char *at, *end;
	unsigned number; /* of the line that `at` is in */
};

void ekeyd_reader_init(struct ekeyd_reader *r, const char *text, size_t len);

/* Reads the next statement; skips comments. */
enum ekeyd_found ekeyd_next_call(struct ekeyd_reader *r, struct ekeyd_line *ret);
enum ekeyd_found ekeyd_next_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret);

#endif
