/* SPDX-License-Identifier: MIT */
/*
 * A client of an EGD server, over one connection: time and bytes in, requests and entropy out; no
 * I/O.
 *
 * Reads are sent in rounds, the next when the last is answered in full. A round grows while the
 * replies come quickly and shrinks when they do not, so that a server that is short of entropy
 * holds none back for this client.
 *
 * No entropy is requested before the server is proven to be one: egd_wire.h, EGD_QUIET_MS.
 *
 * Replies come in the order of the requests, so that the bytes owed are only counted. An
 * unrequested byte ends the connection, and so does a reply that does not come in time: on the next
 * connection a late reply cannot be taken for another.
 */
#ifndef EGD_EGD_CLIENT_H
#define EGD_EGD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egd/egd_wire.h"
#include "lib/bytes.h"

#define EGD_CLIENT_REQUESTS_MAX 128 /* in one round; they are sent in one piece */
#define EGD_CLIENT_SEND_MAX ((size_t)EGD_CLIENT_REQUESTS_MAX * EGD_ASK_LEN)
#define EGD_CLIENT_ROUND_MIN 32 /* bytes: a seed of 256 bits */
#define EGD_CLIENT_ROUND_MAX ((size_t)EGD_CLIENT_REQUESTS_MAX * EGD_LEN_MAX)
#define EGD_CLIENT_QUICK_MS 100   /* a full round that takes no longer makes the next one larger */
#define EGD_CLIENT_SLOW_MS 1000   /* ... and one that takes longer, smaller */
#define EGD_CLIENT_LAG_MS 5000    /* for EGD_CLIENT_ROUND_MIN bytes; a slower server lags */
#define EGD_CLIENT_PROBE_MS 30000 /* of silence, before a level request to an idle server */
#define EGD_CLIENT_PIECE_MAX 1024 /* bytes of entropy in one event */

enum egd_client_event {
	EGD_CLIENT_MORE,  /* all bytes are taken */
	EGD_CLIENT_BYTES, /* entropy: `len` bytes at `bytes` */
	EGD_CLIENT_LEVEL, /* the server has `bits` */
	EGD_CLIENT_PID,   /* the server's process id: `len` characters at `bytes` */
	EGD_CLIENT_BAD,   /* unrequested bytes: end the connection */
};

/* All zero: not connected. Fields are its own. */
struct egd_client {
	bool open;
	bool told;   /* a level reply has come */
	bool proven; /* ... and no byte after it */
	uint64_t patience_ms;
	uint64_t since_ms; /* of the last request or received byte */
	size_t round;      /* bytes that the next one may request */
	size_t asked;      /* bytes of this round */
	uint64_t asked_ms;
	uint64_t kept_ms; /* when the round began, or another EGD_CLIENT_ROUND_MIN bytes were there
			   */
	size_t kept;      /* bytes received since */
	bool keeps_up;    /* the last piece completed them, or the round, in time */
	size_t owed;      /* bytes of the round that are still to come */
	bool has_single;  /* a level or pid reply is still to come, before all others */
	enum egd_op single;
	uint64_t partial_ms; /* when its first byte came */
	size_t partial_len;
	uint8_t partial[EGD_REPLY_MAX]; /* of its reply */
};

/*
 * Begins a connection. `patience_ms`: the most that a reply may take, and of entropy each
 * EGD_CLIENT_ROUND_MIN bytes, so that a byte now and then does not prolong the wait.
 */
void egd_client_open(struct egd_client *c, uint64_t patience_ms, uint64_t now_ms);
void egd_client_close(struct egd_client *c);

/*
 * Write requests to `ret` and return their length; 0: not now. A level or pid when no reply is
 * owed; a round of at most `want` bytes when no other round is and the server is proven.
 */
size_t egd_client_ask_single(struct egd_client *c, enum egd_op op, uint64_t now_ms,
			     uint8_t ret[static EGD_ASK_LEN]);
size_t egd_client_ask(struct egd_client *c, size_t want, uint64_t now_ms,
		      uint8_t ret[static EGD_CLIENT_SEND_MAX]);

/* Returns the next event in the received bytes. Of BYTES and PID, *ret points into `in`. */
enum egd_client_event egd_client_next(struct egd_client *c, struct cursor *in, uint64_t now_ms,
				      struct egd_reply *ret);

/* Returns true while a reply, or the rest of one, is still to come. */
bool egd_client_is_owed(const struct egd_client *c);

/* Returns when the server will lag with the entropy that it owes; UINT64_MAX: it owes none. */
uint64_t egd_client_lags_at(const struct egd_client *c);

/*
 * Marks an unproven server that owes no reply as proven at its deadline, and then returns true:
 * from now on entropy can be requested.
 */
bool egd_client_prove(struct egd_client *c, uint64_t now_ms);

/*
 * Returns when a reply is too late, the server is proven, or an idle server should get a level
 * request; UINT64_MAX while it is closed.
 */
uint64_t egd_client_deadline(const struct egd_client *c);

/* Restarts its times after a pause in which nothing was read. */
void egd_client_listens(struct egd_client *c, uint64_t now_ms);

#endif
