/* SPDX-License-Identifier: MIT */
/* Watches for a path to appear, or to become accessible: a key that is plugged in again. */
#ifndef BACKEND_TRANSPORT_PATH_WATCH_H
#define BACKEND_TRANSPORT_PATH_WATCH_H

#include <event2/event.h>

struct path_watch;

/* Called from the loop, perhaps too often. */
typedef void path_watch_fn(void *arg);

/* Watches the directory of `path`. NULL when it cannot: then only retries help. */
struct path_watch *path_watch_new(struct event_base *base, const char *path, path_watch_fn *fn,
				  void *arg);

/* NULLs the pointer. */
void path_watch_free(struct path_watch **path_watch);

#endif
