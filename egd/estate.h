/* SPDX-License-Identifier: MIT */
/*
 * What this daemon leaves to the next, and what the last one left to it: the listeners, the
 * connections, and the ledger that says what each of them is. However a daemon ends, its heir
 * (priv/heir.h) finds its open files and gives them, as a parcel with the ledger, to the parent.
 */
#ifndef EGD_ESTATE_H
#define EGD_ESTATE_H

#include "egd/ledger.h"
#include "priv/handover.h"

struct estate;

/* A connection of a former daemon: what it was, and its fd, which is the caller's. */
struct estate_client {
	const struct ledger_client *former;
	uint64_t pid; /* that its replies told */
	int fd;
	unsigned at_former, at_client; /* estate_client()'s; zero at first */
};

/*
 * To be called while there are no secrets and no threads. Takes what was left to us, unopened, and
 * with `arm` leaves ours in turn; with `handover` NULL neither. `clients`: places in the ledger.
 * NULL: no memory.
 */
struct estate *estate_new(struct handover *handover, unsigned clients, bool arm);

struct ledger *estate_ledger(struct estate *e);

/* True: the connections will outlive this process. */
bool estate_is_armed(const struct estate *e);

/*
 * Opens what was left. Listeners at other addresses than these end at once, for they may be in
 * their way. Now, and until they are taken and kept anew, a kill costs the connections.
 */
void estate_open(struct estate *e, const char *const *addresses, size_t count);

/*
 * What was left of the listener at this address, its fd in *ret_fd (-1: none), or NULL. Once for
 * each.
 */
const struct ledger_listener *estate_listener(struct estate *e, const char *address, int *ret_fd);

/* The next of its connections; false: that was all. */
bool estate_client(struct estate *e, const char *address, struct estate_client *ret);

/* A connection that was accepted there, and no more; -1: that was all. */
int estate_newcomer(struct estate *e, const char *address);

/* Closes what nobody has taken, after a line in the log; later calls find nothing. */
void estate_settle(struct estate *e);

/* All that is in the ledger must have been given back. NULLs the pointer; NULL is fine. */
void estate_free(struct estate **estate);

#endif
