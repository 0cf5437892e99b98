/* SPDX-License-Identifier: MIT */
/* The key's own measurements, from its information frames ("I>"). doc/protocol.md 2, "Info blocks".
 */
#ifndef BACKEND_EKEY_TELEMETRY_H
#define BACKEND_EKEY_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TELEMETRY_BADNESS_OK '0'

/* The last value of each kind; a kind never seen has its `have_` flag off. */
struct telemetry {
	bool have_temperature, have_voltage, have_fips, have_raw;
	uint32_t temp_decikelvin;
	uint32_t voltage_mv;
	/* "F": FIPS 140-2 blocks judged by the key, and failures by test. */
	uint32_t fips_blocks, fips_fails, fips_monobit, fips_poker, fips_runs;
	/* "S": the raw generators over the last 80 kbit. Shannon figures are hundredths of a bit
	 * per byte, for display only: never for credit. */
	uint32_t raw_bytes;
	uint32_t shannon_left_centi, shannon_right_centi, shannon_xor_centi;
	uint32_t debiased_left_bytes, debiased_left_shannon_centi;
	uint32_t debiased_right_bytes, debiased_right_shannon_centi;
	char badness; /* '0' is good; see telemetry_badness_text() */
};

/*
 * Takes the text of one information frame: blocks separated by spaces. All of it is understood
 * and stored, or false and nothing is (an unknown block letter is skipped, it is no error).
 */
bool telemetry_parse(struct telemetry *t, const uint8_t *text, size_t len);

/* English for a badness letter, for example "left generator not random". Never NULL. */
const char *telemetry_badness_text(char badness);

#endif
