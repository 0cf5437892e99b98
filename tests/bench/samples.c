/* SPDX-License-Identifier: MIT */
#include "tests/bench/samples.h"

#include <err.h>
#include <stdlib.h>
#include <time.h>

uint64_t
samples_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void
samples_init(struct samples *s, size_t cap)
{
	/* Touched now: a page fault is not what a first sample should measure. */
	*s = (struct samples){.ns = malloc(cap * sizeof(*s->ns)), .cap = cap};
	if (s->ns == NULL)
		err(1, "samples");
	for (size_t i = 0; i < cap; i++)
		s->ns[i] = 1;
}

void
samples_finish(struct samples *s)
{
	free(s->ns);
	*s = (struct samples){0};
}

void
samples_add(struct samples *s, uint64_t ns)
{
	if (s->len < s->cap)
		s->ns[s->len++] = ns;
}

static int
compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint64_t
samples_percentile(struct samples *s, unsigned percent)
{
	if (s->len == 0)
		return 0;
	qsort(s->ns, s->len, sizeof(*s->ns), compare_ns);
	return s->ns[(s->len - 1) * percent / 100];
}
