/* SPDX-License-Identifier: MIT */
/* OpenSSL wipes the memory that it frees. */
#ifndef LIB_TLS_MEMORY_H
#define LIB_TLS_MEMORY_H

#include <stdbool.h>

/*
 * Must be the first that a program calls of OpenSSL, or of us: false when OpenSSL has allocated
 * already, and goes on with malloc(). See lib/wiping_alloc.h.
 */
bool crypto_wipe_memory(void);

#endif
