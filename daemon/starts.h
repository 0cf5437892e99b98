/* SPDX-License-Identifier: MIT */
/*
 * How many daemons in a row ended before they were ready, before they had served for a second, and
 * while they resumed devices: three numbers in the service manager's store. They slow down a daemon
 * that ends at each start, and discard saved state that ends each daemon that resumes it. A daemon
 * that ends by a wrong configuration costs no device.
 */
#ifndef DAEMON_STARTS_H
#define DAEMON_STARTS_H

#include <stdint.h>

#include "daemon/config.h"
#include "lib/fd_store.h"

#define STARTS_HEALTHY_MS 1000 /* of service, after which a start has succeeded */
#define STARTS_RESUMING_MAX 3  /* in a row, after which saved state is discarded */

struct starts_count {
	uint32_t unready, early, resuming; /* ends in a row */
};

struct starts {
	int fd;                    /* -1: there is no store */
	struct starts_count count; /* before this start */
};

/* Counts this start as one that ends at once, until the calls below. */
void starts_begin(struct starts *starts, struct fd_store *store);
void starts_resuming(struct starts *starts);
void starts_ready(struct starts *starts);
void starts_succeeded(struct starts *starts);
void starts_finish(struct starts *starts);

/*
 * Discards saved state of sections that are not configured any more; and of every device, when too
 * many daemons in a row ended while they resumed devices.
 */
void starts_discard(const struct starts *starts, struct fd_store *store,
		    const struct config *config);

/* Returns the wait before this daemon does anything else, in ms; 0: none. */
unsigned starts_delay_ms(const struct starts *starts);

#endif
