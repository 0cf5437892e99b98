/* SPDX-License-Identifier: MIT */
/*
 * A heap whose blocks are wiped when they are freed or outgrown: for libraries through whose
 * buffers keys and entropy pass, and which can be told how to allocate. For our own secrets there
 * is lib/secret.h, which also locks.
 */
#ifndef LIB_WIPING_ALLOC_H
#define LIB_WIPING_ALLOC_H

#include <stddef.h>

/* As malloc(), realloc() and free(); each block knows its length. Not to be mixed with those. */
void *wiping_alloc(size_t len);
void *wiping_realloc(void *block, size_t len);
void wiping_free(void *block);

#endif
