/* SPDX-License-Identifier: MIT */
/*
 * A transport that comes back by itself: of the kind that its address asks for, opened as soon as
 * it can be, at once when its path appears, else tried again, each time later. What its bytes mean
 * is its owner's matter.
 */
#ifndef BACKEND_LINK_H
#define BACKEND_LINK_H

#include "backend/backoff.h"
#include "backend/transport.h"

#define LINK_ADDRESS_MAX 256

/* All from the event loop, never from within a call to the link. */
struct link_events {
	void (*opened)(void *arg);
	/* As transport_events.bytes. */
	size_t (*bytes)(void *arg, const uint8_t *bytes, size_t len);
	/*
	 * It was open and is closed now: 0, or an errno (ECONNABORTED: dropped by link_drop()). It
	 * will be opened again.
	 */
	void (*gone)(void *arg, int error);
	/* NULL, or: it was started anew, and is not back at this try. */
	void (*missing)(void *arg);
	void *arg;
};

/* Its fields are its own, and may be read. */
struct link {
	struct transport_env env;
	struct link_events events;
	const char *name, *address; /* of the source; live as long as the link */
	const struct transport_kind *kind;
	const char *where;           /* the address after the kind's prefix */
	struct transport *transport; /* NULL: not even being opened */
	bool open;
	const char *dropped; /* why, until it is closed; NULL: it is not */
	void *watch;         /* while it is not open; NULL: cannot be watched */
	struct event *timer; /* tries again; or drops what is to be dropped */
	struct backoff backoff;
	bool known; /* see link_known() */
	bool good;  /* see link_good(); since good_ms */
	uint64_t good_ms;
	bool mute;      /* it ends without a farewell: see link_renew() */
	bool reset_due; /* as soon as it is open */
	bool was_reset; /* by ourselves, and is not back yet */
	/* Of the last line about its absence: the code (0: there was none), and an own reason. */
	int said_error;
	const char *said_reason;
	uint64_t opens;
	char waiting[LINK_ADDRESS_MAX + 128]; /* one phrase for the status, while it is not open */
};

/* Checks the form of an address; NULL when good, else what is wrong with it. */
const char *link_address_error(const char *address);

/* Opens at once, in the background. False: no memory. Its own memory must not move. */
bool link_start(struct link *l, const struct transport_env *env, const char *name,
		const char *address, const struct link_events *events);

/* Closes; no event comes any more. Of a link that is all zero: nothing. */
void link_stop(struct link *l);

bool link_is_open(const struct link *l);

/*
 * Gives the connection up for a reason of our own, a phrase that is not copied; gone() follows, as
 * if it had broken. Nothing is read any more.
 */
void link_drop(struct link *l, const char *reason);

/*
 * Ends the connection, also one that is being made, and makes another one soon; gone() follows if
 * it was open. Nothing is sent on it any more: TLS's farewell would be encrypted with keys that
 * others may have, too. Who orders it has said why: it is no news.
 */
void link_renew(struct link *l);

/* The socket or tty under it while it is open, to ask who is there; -1: there is none. */
int link_fd(const struct link *l);

/* While it is open. */
void link_send(struct link *l, const uint8_t *bytes, size_t len);
void link_set_reading(struct link *l, bool on);

/* What is known of the hardware, as lines of text; nothing while it is not open. */
void link_describe(const struct link *l, char *ret, size_t cap);

/* Something was said of who is there: that he went will be said too. */
void link_known(struct link *l);

/* He is what we want: when he stays so for a while, and goes, he is tried again soon. */
void link_good(struct link *l);

/* Starts the device anew, now or once it is open. Only for kinds that can. */
bool link_can_reset(const struct link *l);
void link_reset(struct link *l);

#endif
