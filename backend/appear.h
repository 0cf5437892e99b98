/* SPDX-License-Identifier: MIT */
/* Notices at once when a path appears or may be opened at last: a key that is plugged in again. */
#ifndef BACKEND_APPEAR_H
#define BACKEND_APPEAR_H

#include <event2/event.h>

struct appear;

/* Called from the loop, perhaps too often: try and see. */
typedef void appear_fn(void *arg);

/* Watches the directory of `path`. NULL when that cannot be: then only trying again helps. */
struct appear *appear_new(struct event_base *base, const char *path, appear_fn *fn, void *arg);

/* NULLs the pointer. */
void appear_free(struct appear **appear);

#endif
