/* SPDX-License-Identifier: MIT */
/*
 * One line per event on stderr, with journald's <N> prefix when the journal listens. The edge that
 * decides logs once, names the device or peer, and never prints a key, nonce, frame or random byte.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Lines above `level` are dropped. At start: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

void log_err(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For lines that a stranger can cause: at most one in LOG_LIMIT_MS for each `struct log_limit`. */
#define LOG_LIMIT_MS 10000

struct log_limit {
	uint64_t quiet_until_ms;
	unsigned suppressed; /* lines dropped since the last one that passed */
};

/* True when the line may be written; *ret_suppressed says how many were not since the last. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned *ret_suppressed);

#endif
