/* SPDX-License-Identifier: MIT */
/*
 * A transport that is reopened: of the kind that its address names, at once when its path appears,
 * otherwise by retries, each after a longer wait. The meaning of its bytes is its owner's matter.
 */
#ifndef BACKEND_TRANSPORT_LINK_H
#define BACKEND_TRANSPORT_LINK_H

#include "backend/transport/backoff.h"
#include "backend/transport/transport.h"

#define LINK_ADDRESS_MAX 256
#define LINK_PHRASE_MAX (LINK_ADDRESS_MAX + 128)

/* All from the event loop, never from within a call to the link. */
struct link_events {
	void (*opened)(void *arg);
	/* As transport_events.bytes. */
	size_t (*bytes)(void *arg, const uint8_t *bytes, size_t len);
	/*
	 * The transport was open, and is closed: 0, or an errno (ECONNABORTED: by link_drop()). It
	 * will be opened again.
	 */
	void (*gone)(void *arg, int error);
	/* NULL, or: the device was reset, and is not back at this try. */
	void (*missing)(void *arg);
	void *arg;
};

/* Only link.c changes it. */
struct link {
	struct transport_env env;
	struct link_events events;
	const char *name, *address; /* of the source; live as long as the link */
	const struct transport_kind *kind;
	const char *where;           /* the address after the kind's prefix */
	struct transport *transport; /* NULL: not even being opened */
	bool open;
	const char *dropped; /* by link_drop() for this reason, until it is closed; NULL: not */
	void *watch;         /* while it is not open; NULL: cannot be watched */
	struct event *timer; /* for the next try; or for the end of a dropped transport */
	struct backoff backoff;
	bool known; /* see link_known() */
	bool good;  /* see link_good(); since good_ms */
	uint64_t good_ms;
	bool mute;      /* see link_renew() */
	bool reset_due; /* as soon as it is open */
	bool was_reset; /* by link_reset(), and is not back yet */
	uint64_t opens;
	char waiting[LINK_PHRASE_MAX]; /* one phrase for the status, while it is not open */
	char logged[LINK_PHRASE_MAX];  /* the last such phrase in the log; "": none */
};

/* Opens at once, in the background. False: no memory. Its own memory must not move. */
bool link_start(struct link *l, const struct transport_env *env, const char *name,
		const char *address, const struct link_events *events);

/* Closes, without a further event. Does nothing to a link that is all zero. */
void link_stop(struct link *l);

/*
 * Closes the transport for a reason, a phrase that is not copied; gone() follows. Nothing is read
 * any longer.
 */
void link_drop(struct link *l, const char *reason);

/*
 * Closes the transport, also one that is being opened, and reopens it soon; gone() follows if it
 * was open. Nothing is sent on it any longer: TLS's farewell would be encrypted with keys that a
 * clone has, too. The link logs nothing: its caller does.
 */
void link_renew(struct link *l);

/* The socket or tty under it; -1: none, or not open. */
int link_fd(const struct link *l);

/* While it is open. */
void link_send(struct link *l, const uint8_t *bytes, size_t len);
void link_set_reading(struct link *l, bool on);

/* Writes lines of text about the hardware; nothing while it is not open. */
void link_describe(const struct link *l, char *ret, size_t cap);

/* The log has a line about the other side, so that its end is logged, too. */
void link_known(struct link *l);

/* The other side serves: if it does so for a while, the wait before a retry is short again. */
void link_good(struct link *l);

/* Resets the device, now or once it is open. Only for kinds with reset(). */
void link_reset(struct link *l);

#endif
