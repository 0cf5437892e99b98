/* SPDX-License-Identifier: MIT */
#include "lib/tls/memory.h"

#include <openssl/crypto.h>

#include "lib/wiping_alloc.h"

static void *
memory_alloc(size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return wiping_alloc(len);
}

static void *
memory_resize(void *bytes, size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return wiping_realloc(bytes, len);
}

static void
memory_free(void *bytes, const char *file, int line)
{
	(void)file, (void)line;
	wiping_free(bytes);
}

bool
crypto_wipe_memory(void)
{
	return CRYPTO_set_mem_functions(memory_alloc, memory_resize, memory_free) == 1;
}
