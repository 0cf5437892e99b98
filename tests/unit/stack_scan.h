/* SPDX-License-Identifier: MIT */
/* Looks for bytes that calls which have returned left on the stack: what was wiped is not there. */
#ifndef TESTS_UNIT_STACK_SCAN_H
#define TESTS_UNIT_STACK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_SCAN_DEPTH 65536

/* Takes the stack that the calls to be looked at will use; cleared, so that nothing older counts.
 */
static __attribute__((noinline, no_sanitize("address"))) void
stack_scan_clear(void)
{
	volatile uint8_t bytes[STACK_SCAN_DEPTH];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
}

/* Is a call that does not wipe. */
static __attribute__((noinline, no_sanitize("address"))) void
stack_scan_leave(const uint8_t *pattern, size_t len)
{
	volatile uint8_t bytes[256];

	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern[i];
	(void)bytes[0];
}

/* Calls nothing, so that it lies on little of what it looks at. */
static __attribute__((noinline, no_sanitize("address"))) bool
stack_scan(const uint8_t *pattern, size_t len)
{
	const volatile uint8_t *top = __builtin_frame_address(0);

	for (const volatile uint8_t *at = top - STACK_SCAN_DEPTH; at < top - len; at++) {
		size_t same = 0;

		while (same < len && at[same] == pattern[same])
			same++;
		if (same == len)
			return true;
	}
	return false;
}

#endif
