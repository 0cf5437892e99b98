/* SPDX-License-Identifier: MIT */
#include "egd/estate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "egd/listener.h"
#include "priv/heir.h"
#include "priv/parcel.h"

/* What one former daemon has left. Its ledger, once it is open, has our fds. */
struct former {
	struct kept kept;
	struct ledger *ledger; /* NULL: not open, or it cannot be */
};

struct estate {
	struct handover *handover;
	struct ledger *ledger;
	int ledger_fd;
	int heir; /* -1: none */
	unsigned count;
	struct former formers[KEPT_MAX];
};

/* ---- the heir's part ---- */

/* Files that are on their way, of all processes of a user, are measured against it. */
static void
have_as_many_as_may_be(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* One that has come, and has no record. */
static bool
is_newcomer(const struct ledger *l)
{
	if (l->newcomer.fd < 0 || fcntl(l->newcomer.fd, F_GETFD) < 0)
		return false;
	for (unsigned i = 0; i < l->used; i++)
		if (l->clients[i].fd == l->newcomer.fd)
			return false;
	return true;
}

/* Calls fn for the place of each fd in the ledger, in order, until it says no. */
static void
each_fd(struct ledger *l, bool (*fn)(int32_t *fd, void *arg), void *arg)
{
	bool more = true;

	for (unsigned i = 0; more && i < LEDGER_LISTENERS; i++)
		if (l->listeners[i].address[0] != '\0' && l->listeners[i].fd >= 0)
			more = fn(&l->listeners[i].fd, arg);
	for (unsigned i = 0; more && i < l->used; i++)
		if (l->clients[i].fd >= 0)
			more = fn(&l->clients[i].fd, arg);
	if (more && l->newcomer.fd >= 0)
		(void)fn(&l->newcomer.fd, arg);
}

static bool
pack(int32_t *fd, void *arg)
{
	int result = parcel_put(arg, *fd);

	if (result < 0)
		log_err("not all connections can be handed on: %s", strerror(-result));
	return result == 0;
}

/* Who stops in good order ends its listeners. */
static bool
is_anything_left(const struct ledger *l)
{
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++)
		if (l->listeners[i].address[0] != '\0')
			return true;
	return false;
}

static void
bequeath(void *arg)
{
	struct estate *e = arg;
	struct parcel parcel;
	struct kept k;

	if (!is_newcomer(e->ledger)) /* before an fd of ours has that number */
		e->ledger->newcomer.fd = -1;
	if (!is_anything_left(e->ledger) || parcel_new(&parcel) != 0)
		return;
	have_as_many_as_may_be();
	each_fd(e->ledger, pack, &parcel);
	(void)parcel_seal(&parcel);
	k = (struct kept){.fds = {parcel.out, e->ledger_fd, parcel.in}};
	snprintf(k.path, sizeof(k.path), "%s%llu", KEPT_CLIENTS,
		 (unsigned long long)e->ledger->pid);
	(void)handover_keep(e->handover, &k);
}

/* ---- what was left ---- */

static bool
unpack(int32_t *fd, void *arg)
{
	*fd = parcel_take(arg);
	return true;
}

static void
open_former(struct former *former)
{
	struct kept *k = &former->kept;
	int result = ledger_open(k->fds[KEPT_TABLE], &former->ledger);
	struct parcel parcel;

	have_as_many_as_may_be();
	parcel_resume(&parcel, k->fds[KEPT_LOCK], k->fds[KEPT_CARRIER]);
	if (result == 0)
		each_fd(former->ledger, unpack, &parcel);
	else
		log_warn("the connections of a former daemon are closed: what is known of them %s",
			 result == -EPROTO ? "is of another version" : "makes no sense");
	if (parcel.cut)
		log_warn("not all connections of a former daemon can be open here: see ulimit -n");
	parcel_close(&parcel);
	close(k->fds[KEPT_TABLE]);
	k->fds[KEPT_LOCK] = k->fds[KEPT_CARRIER] = k->fds[KEPT_TABLE] = -1;
}

static void
arm_it(struct estate *e)
{
	e->heir = heir_start(bequeath, e);
	if (e->heir < 0)
		log_warn("connections will end with this process: %s", strerror(-e->heir));
}

struct estate *
estate_new(struct handover *handover, unsigned clients, bool arm)
{
	struct estate *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->handover = handover;
	e->heir = -1;
	e->ledger = ledger_new(clients, &e->ledger_fd);
	if (e->ledger == NULL) {
		free(e);
		return NULL;
	}
	if (handover != NULL && arm)
		arm_it(e);
	while (e->count < KEPT_MAX && handover_take_clients(handover, &e->formers[e->count].kept))
		e->count++;
	return e;
}

struct ledger *
estate_ledger(struct estate *e)
{
	return e->ledger;
}

bool
estate_is_armed(const struct estate *e)
{
	return e->heir >= 0 && heir_lives(e->heir);
}

/* The listener at this address in a former ledger, or NULL. */
static struct ledger_listener *
find(struct ledger *l, const char *address)
{
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++)
		if (strcmp(l->listeners[i].address, address) == 0)
			return &l->listeners[i];
	return NULL;
}

static bool
is_among(const char *address, const char *const *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(address, addresses[i]) == 0)
			return true;
	return false;
}

static void
listeners_keep(struct ledger *l, const char *const *addresses, size_t count)
{
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++) {
		struct ledger_listener *listener = &l->listeners[i];

		if (listener->fd < 0 || is_among(listener->address, addresses, count))
			continue;
		egd_listener_close(listener->address, listener->fd);
		listener->fd = -1;
	}
}

static bool
is_opened(const struct former *former)
{
	return former->kept.fds[KEPT_TABLE] < 0;
}

void
estate_open(struct estate *e, const char *const *addresses, size_t count)
{
	for (unsigned i = 0; i < e->count; i++) {
		struct former *former = &e->formers[i];

		if (is_opened(former))
			continue;
		open_former(former);
		if (former->ledger != NULL)
			listeners_keep(former->ledger, addresses, count);
	}
}

/* That which still has its socket: of two daemons one had taken over from the other. */
const struct ledger_listener *
estate_listener(struct estate *e, const char *address, int *ret_fd)
{
	struct ledger_listener *best = NULL;

	*ret_fd = -1;
	for (unsigned i = 0; i < e->count; i++) {
		struct ledger *l = e->formers[i].ledger;
		struct ledger_listener *listener = l != NULL ? find(l, address) : NULL;

		if (listener != NULL && (best == NULL || best->fd < 0))
			best = listener;
	}
	if (best != NULL) {
		*ret_fd = best->fd;
		best->fd = -1;
	}
	return best;
}

/* From ret->at_client on. */
static bool
client_of(struct ledger *l, uint32_t listener, struct estate_client *ret)
{
	while (ret->at_client < l->used) {
		struct ledger_client *c = &l->clients[ret->at_client++];

		if (c->fd < 0 || c->listener != listener)
			continue;
		ret->former = c;
		ret->pid = l->pid;
		ret->fd = c->fd;
		c->fd = -1;
		return true;
	}
	return false;
}

bool
estate_client(struct estate *e, const char *address, struct estate_client *ret)
{
	for (; ret->at_former < e->count; ret->at_former++, ret->at_client = 0) {
		struct ledger *l = e->formers[ret->at_former].ledger;
		const struct ledger_listener *listener = l != NULL ? find(l, address) : NULL;

		if (listener != NULL && client_of(l, (uint32_t)(listener - l->listeners), ret))
			return true;
	}
	return false;
}

int
estate_newcomer(struct estate *e, const char *address)
{
	for (unsigned i = 0; i < e->count; i++) {
		struct ledger *l = e->formers[i].ledger;
		int fd = l != NULL ? l->newcomer.fd : -1;

		if (fd < 0 || strcmp(l->listeners[l->newcomer.listener].address, address) != 0)
			continue;
		l->newcomer.fd = -1;
		return fd;
	}
	return -1;
}

static bool
close_one(int32_t *fd, void *arg)
{
	unsigned *count = arg;

	close(*fd);
	*fd = -1;
	(*count)++;
	return true;
}

/* What was not opened stays with our parent: we did not come so far. */
void
estate_settle(struct estate *e)
{
	while (e->count > 0) {
		struct former *former = &e->formers[--e->count];
		unsigned count = 0;

		if (former->ledger != NULL)
			each_fd(former->ledger, close_one, &count);
		ledger_free(&former->ledger);
		if (is_opened(former))
			handover_forget(e->handover, former->kept.path);
		kept_close(&former->kept);
		if (count > 0)
			log_info("%u sockets of a former daemon are closed: their [listen] has "
				 "gone or changed",
				 count);
	}
}

void
estate_free(struct estate **estate)
{
	struct estate *e = *estate;

	*estate = NULL;
	if (e == NULL)
		return;
	estate_settle(e);
	ledger_free(&e->ledger);
	close(e->ledger_fd);
	free(e);
}
