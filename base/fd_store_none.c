/* SPDX-License-Identifier: MIT */
/* In the place of fd_store.c where there is no libsystemd: nothing is kept. */
#include "base/fd_store.h"

#include <stddef.h>
#include <stdlib.h>

struct fd_store {
	bool works;
};

struct fd_store *
fd_store_new(void)
{
	return calloc(1, sizeof(struct fd_store));
}

void
fd_store_free(struct fd_store **store)
{
	free(*store);
	*store = NULL;
}

bool
fd_store_works(const struct fd_store *s)
{
	return s->works;
}

bool
fd_store_has(const struct fd_store *s, const char *name)
{
	(void)s, (void)name;
	return false;
}

unsigned
fd_store_count(const struct fd_store *s)
{
	(void)s;
	return 0;
}

const char *
fd_store_name(const struct fd_store *s, unsigned i)
{
	(void)s, (void)i;
	return NULL;
}

int
fd_store_take(struct fd_store *s, const char *name)
{
	(void)s, (void)name;
	return -1;
}

void
fd_store_put(struct fd_store *s, const char *name, int fd)
{
	(void)s, (void)name, (void)fd;
}

void
fd_store_remove(struct fd_store *s, const char *name)
{
	(void)s, (void)name;
}

bool
fd_store_wait(struct fd_store *s)
{
	(void)s;
	return false;
}
