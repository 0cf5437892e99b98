/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum log_level log_level_max = LOG_LEVEL_INFO;

void
log_set_level(enum log_level level)
{
	log_level_max = level;
}

/*
 * The variable names the journal's socket, and all that a service or a desktop starts inherits it,
 * also where stderr is a terminal, a file or a pipe by then: systemd.exec(5) has it compared.
 */
static bool
log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* One write of one line, so that lines of several threads or processes never mix. */
static void
log_write(enum log_level level, const char *format, va_list args)
{
	char line[1024];
	int used = 0;

	if (level > log_level_max)
		return;
	if (log_to_journal())
		used = snprintf(line, sizeof(line), "<%d>", (int)level);
	vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	fprintf(stderr, "%s\n", line);
}

#define LOG_FUNCTION(name, level) \
	void name(const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		log_write(level, format, args); \
		va_end(args); \
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

bool
log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned *ret_suppressed)
{
	if (now_ms < limit->quiet_until_ms) {
		limit->suppressed++;
		return false;
	}
	*ret_suppressed = limit->suppressed;
	limit->suppressed = 0;
	limit->quiet_until_ms = now_ms + LOG_LIMIT_MS;
	return true;
}
