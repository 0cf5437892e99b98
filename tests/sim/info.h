/* SPDX-License-Identifier: MIT */
/* The device's own measurements, as its information frames tell them. doc/protocol.md 2, "Info
 * blocks". */
#ifndef TESTS_SIM_INFO_H
#define TESTS_SIM_INFO_H

#include <stdint.h>

#define INFO_KINDS 3     /* information frames that follow a block */
#define INFO_TEXT_LEN 51 /* longest payload and a NUL */
#define INFO_BADNESS_OK '0'

/* All zero, but for badness, is a device that has just been plugged in. */
struct info {
	uint32_t blocks;    /* blocks of 20,000 bits judged since the FIPS counters restarted */
	uint32_t fails[3];  /* of those, by test: monobit, poker, runs */
	uint32_t raw_steps; /* snapshots since the raw counters restarted, 0..2 */
	char badness;
};

void info_init(struct info *info);

/* One more block of 20,000 bits has been made and judged. */
void info_block(struct info *info);

/* The text of information frame `kind`, below INFO_KINDS. */
void info_text(const struct info *info, unsigned kind, char ret[static INFO_TEXT_LEN]);

#endif
