/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of the socket to its parent, who keeps our devices and clients while one daemon
 * goes and the next comes. Each call waits for the parent, who does nothing else and answers at
 * once.
 */
#ifndef PRIV_HANDOVER_H
#define PRIV_HANDOVER_H

#include <stdbool.h>

#include "priv/kept.h"

struct handover;

/* Takes `fd`, and from it all that was kept. NULL after a line in the log. */
struct handover *handover_new(int fd);

/* Closes what nobody has taken; NULLs the pointer. NULL is fine. */
void handover_free(struct handover **h);

/* What was kept for the device at `path`, if anything: its fds are the caller's. */
bool handover_take(struct handover *h, const char *path, struct kept *ret);

/* Clients of EGD that were kept: egd/estate.h. False: there are no more. */
bool handover_take_clients(struct handover *h, struct kept *ret);

/* What nobody has taken yet; false: nothing is left. */
bool handover_take_any(struct handover *h, struct kept *ret);

/* Gives copies of the fds to be kept. By whom; h may be NULL: by nobody. */
enum kept_by handover_keep(struct handover *h, const struct kept *k);

/* Returns when nobody else has the device's fds any more. */
void handover_forget(struct handover *h, const char *path);

/* All that shall be served is; h may be NULL. */
void handover_ready(struct handover *h);

#endif
