/* SPDX-License-Identifier: MIT */
/*
 * The agent's figures in a file: Prometheus' text format, for the textfile collector of
 * node_exporter and for `ekey-feed --status`.
 */
#ifndef EGD_FEED_REPORT_H
#define EGD_FEED_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct report {
	uint64_t feeds, failures;
	uint64_t fed_bytes, credited_bits;
	uint64_t last_feed_s; /* seconds since 1970; 0: none yet */
	uint64_t interval_ms;
	bool ready;           /* the kernel's generator */
	const char *upstream; /* the last that delivered; NULL: none yet */
};

/* Replaces `path`, whole or not at all. 0 or -errno. */
int report_write(const struct report *report, const char *path);

/* Prints the file's figures and the kernel's state; returns an exit status. */
int report_show(const char *path);

#endif
