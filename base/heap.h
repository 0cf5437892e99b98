/* SPDX-License-Identifier: MIT */
/*
 * A heap whose blocks are wiped when they are freed or outgrown: for libraries through whose
 * buffers keys and entropy pass, and which can be told how to allocate. For our own secrets there
 * is base/secret.h, which also locks.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>

/* As malloc(), realloc() and free(); each block knows its length. Not to be mixed with those. */
void *heap_alloc(size_t len);
void *heap_resize(void *block, size_t len);
void heap_free(void *block);

#endif
