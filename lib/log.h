/* SPDX-License-Identifier: MIT */
/*
 * One line per event on stderr, with journald's <N> prefix when the journal reads it. The edge that
 * decides logs once, names the device or peer, and never prints a key, nonce, frame or random byte.
 *
 * A line that stderr cannot take at once is dropped: the log makes no program wait. The next line
 * tells how many were dropped.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Lines above `level` are not written. At start: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/*
 * Opens a stderr that is a terminal or a pipe again, as non-blocking: the terminal of a shell must
 * not be made so, and may be ready for a part of a line only. For programs that serve others.
 */
void log_open(void);

void log_err(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * For lines that a stranger can cause: at most one in LOG_LIMIT_MS about each of LOG_LIMIT_PEERS
 * peers, so that the lines about one peer do not hide those about another.
 */
#define LOG_LIMIT_MS 10000
#define LOG_LIMIT_PEERS 8

struct log_limit {
	struct {
		uint64_t peer, quiet_until_ms;
	} said[LOG_LIMIT_PEERS];
	unsigned suppressed; /* lines since the last one that was written */
};

/* Warns, unless the limit is reached; the line says how many were suppressed before it. */
void log_warn_limited(struct log_limit *limit, uint64_t peer, uint64_t now_ms, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));

#endif
