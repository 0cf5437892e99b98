/* SPDX-License-Identifier: MIT */
/* Looks for bytes in all memory that secret_new() gave out: what was wiped is in none of it. */
#ifndef TESTS_UNIT_SECRET_SCAN_H
#define TESTS_UNIT_SECRET_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Times `pattern` is found. secret_new()'s mappings are known by their flags: no dump, wipe on fork. */
static inline unsigned
secret_scan(const void *pattern, size_t len)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uintptr_t from = 0, to = 0, start, end;
	char line[512];
	unsigned found = 0;

	while (smaps != NULL && fgets(line, sizeof(line), smaps) != NULL) {
		const uint8_t *at;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			from = start;
			to = end;
		}
		if (strncmp(line, "VmFlags:", 8) != 0 || strstr(line, " dd") == NULL ||
		    strstr(line, " wf") == NULL)
			continue;
		for (at = (const uint8_t *)from; (at = memmem(at, to - (uintptr_t)at, pattern, len));
		     at++)
			found++;
	}
	if (smaps != NULL)
		fclose(smaps);
	return found;
}

#endif
