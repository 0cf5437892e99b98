/* SPDX-License-Identifier: MIT */
/*
 * Memory for keys and entropy: locked (never swapped), left out of core dumps, empty in a forked
 * child, wiped when freed. The one wipe and the one constant-time compare of the program.
 */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * `len` zeroed bytes on pages of their own, or NULL with errno. Pages count as resident only when
 * touched. When RLIMIT_MEMLOCK is too small the memory is given all the same and
 * secret_unlocked_bytes() grows: the edge that starts the program warns about it.
 */
void *secret_new(size_t len);

/* Wipes and unmaps; `len` as given to secret_new(). NULL is fine. */
void secret_free(void *bytes, size_t len);

/* Bytes handed out by secret_new() that could not be locked. */
size_t secret_unlocked_bytes(void);

/* This process leaves no core dump, and no other of its user may look into it. */
void secret_shield(void);

/* Overwrites with zeros; never optimised away. */
void secret_wipe(void *bytes, size_t len);

/* Equality in a time that depends on `len` only. */
bool secret_equal(const void *a, const void *b, size_t len);

#endif
