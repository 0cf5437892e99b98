/* SPDX-License-Identifier: MIT */
/*
 * One line of /proc/self/mountinfo (proc_pid_mountinfo(5)): the only way to learn what is mounted
 * at a path without touching the path, which is what a dead or a hanging FUSE server forbids.
 */
#ifndef PRIV_MOUNTINFO_H
#define PRIV_MOUNTINFO_H

#include <stdbool.h>

struct mountinfo {
	unsigned major, minor; /* st_dev of what is mounted */
	char *point;           /* where, with the octal escapes undone; inside the line */
	const char *type;      /* "fuse.ekey-random"; inside the line */
	const char *source;    /* "ekey-random"; inside the line */
};

/* Parses `line` in place, trailing newline or not. False when it has not that form. */
bool mountinfo_parse(char *line, struct mountinfo *ret);

#endif
