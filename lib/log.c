/* SPDX-License-Identifier: MIT */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_LEN_MAX 1024 /* less than PIPE_BUF: a pipe that is ready takes it whole */

static enum log_level log_level_max = LOG_LEVEL_INFO;
static atomic_uint log_dropped; /* lines, since the last one that was written */

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

/* A file is always ready. True: the line is written whole. */
static bool
log_put(const char *line, size_t len)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK && poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
		n = write(STDERR_FILENO, line, len);
	return n == (ssize_t)len;
}

/* One write of one line, so that lines of several threads or processes never mix. */
static bool
log_put_text(enum log_level level, const char *text)
{
	char line[LINE_LEN_MAX], prefix[8] = "";
	int len;

	if (log_to_journal())
		snprintf(prefix, sizeof(prefix), "<%d>", (int)level);
	len = snprintf(line, sizeof(line) - 1, "%s%s", prefix, text);
	len = len < (int)sizeof(line) - 2 ? len : (int)sizeof(line) - 2;
	line[len] = '\n';
	return log_put(line, (size_t)len + 1);
}

static void
log_write(enum log_level level, const char *format, va_list args)
{
	char text[LINE_LEN_MAX], notice[64];
	unsigned dropped;

	if (level > log_level_max)
		return;
	dropped = atomic_exchange(&log_dropped, 0);
	vsnprintf(text, sizeof(text), format, args);
	snprintf(notice, sizeof(notice), "stderr was blocked: %u lines were dropped", dropped);
	if (dropped > 0 && !log_put_text(LOG_LEVEL_WARN, notice))
		atomic_fetch_add(&log_dropped, dropped + 1);
	else if (!log_put_text(level, text))
		atomic_fetch_add(&log_dropped, 1);
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

void
log_open(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) != 0 || (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return; /* it is not ours to open: poll(2) alone must do */
	(void)dup2(fd, STDERR_FILENO);
	close(fd);
}

/* ---- limits ---- */

static bool
log_limit_pass(struct log_limit *limit, uint64_t peer, uint64_t now_ms)
{
	size_t at = LOG_LIMIT_PEERS;

	for (size_t i = 0; i < LOG_LIMIT_PEERS; i++) {
		if (now_ms >= limit->said[i].quiet_until_ms)
			at = i;
		else if (limit->said[i].peer == peer)
			return false;
	}
	if (at == LOG_LIMIT_PEERS)
		return false;
	limit->said[at].peer = peer;
	limit->said[at].quiet_until_ms = now_ms + LOG_LIMIT_MS;
	return true;
}

void
log_warn_limited(struct log_limit *limit, uint64_t peer, uint64_t now_ms, const char *format, ...)
{
	char text[LINE_LEN_MAX];
	va_list args;

	if (!log_limit_pass(limit, peer, now_ms)) {
		limit->suppressed++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (limit->suppressed > 0)
		log_warn("%s (%u such lines were suppressed before)", text, limit->suppressed);
	else
		log_warn("%s", text);
	limit->suppressed = 0;
}
