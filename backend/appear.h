/* SPDX-License-Identifier: MIT */
/* Watches for a path to appear, or to become accessible: a key that is plugged in again. */
#ifndef BACKEND_APPEAR_H
#define BACKEND_APPEAR_H

#include <event2/event.h>

struct appear;

/* Called from the loop, perhaps too often. */
typedef void appear_fn(void *arg);

/* Watches the directory of `path`. NULL when it cannot: then only retries help. */
struct appear *appear_new(struct event_base *base, const char *path, appear_fn *fn, void *arg);

/* NULLs the pointer. */
void appear_free(struct appear **appear);

#endif
