/* SPDX-License-Identifier: MIT */
#include "lib/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t unlocked_bytes;

static size_t
secret_pages_len(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

void *
secret_new(size_t len)
{
	size_t pages_len = secret_pages_len(len);
	void *bytes =
		mmap(NULL, pages_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		return NULL;
	if (mlock2(bytes, pages_len, MLOCK_ONFAULT) != 0)
		unlocked_bytes += pages_len;
	/* Best effort: kernels without one of these still run the program. */
	(void)madvise(bytes, pages_len, MADV_DONTDUMP);
	(void)madvise(bytes, pages_len, MADV_WIPEONFORK);
	return bytes;
}

void
secret_free(void *bytes, size_t len)
{
	if (bytes == NULL)
		return;
	secret_wipe(bytes, len);
	munmap(bytes, secret_pages_len(len));
}

size_t
secret_unlocked_bytes(void)
{
	return unlocked_bytes;
}

void
secret_shield(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0);
}

void
secret_wipe(void *bytes, size_t len)
{
	explicit_bzero(bytes, len);
}

/* volatile: every byte is looked at, whatever the compiler knows of the ones before. */
bool
secret_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= (uint8_t)(x[i] ^ y[i]);
	return differs == 0;
}
