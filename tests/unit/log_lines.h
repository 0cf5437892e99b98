/* SPDX-License-Identifier: MIT */
/* What the program says on stderr, for tests of when it does: once, and again when it changed. */
#ifndef TESTS_UNIT_LOG_LINES_H
#define TESTS_UNIT_LOG_LINES_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_LINES_MAX 65536 /* bytes */

/* From here on lines are kept, and shown nowhere. Returns stderr as it was, for log_lines_end(). */
static inline int
log_lines_begin(void)
{
	int before = dup(STDERR_FILENO), lines = memfd_create("log", 0);

	dup2(lines, STDERR_FILENO);
	close(lines);
	return before;
}

static inline void
log_lines_end(int before)
{
	dup2(before, STDERR_FILENO);
	close(before);
}

/* Times that `text` was said since then. */
static inline unsigned
log_lines_count(const char *text)
{
	static char lines[LOG_LINES_MAX];
	ssize_t n = pread(STDERR_FILENO, lines, sizeof(lines) - 1, 0);
	unsigned found = 0;

	lines[n > 0 ? n : 0] = '\0';
	for (const char *at = lines; (at = strstr(at, text)) != NULL; at++)
		found++;
	return found;
}

#endif
