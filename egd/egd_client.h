/* SPDX-License-Identifier: MIT */
/*
 * Who asks an EGD server, over one connection: time and bytes in, requests and entropy out; no I/O.
 *
 * Reads are asked for in rounds, the next when the last is answered in full. A round grows while
 * the answers come quickly and shrinks when they do not: a plentiful server is asked for much at
 * once, and of one that is short of entropy nothing is kept waiting in our name that others need.
 *
 * No entropy is asked for before the server has proven to be one: egd_wire.h, EGD_QUIET_MS.
 *
 * Replies come in the order of the requests, so that what is owed is only counted. A byte more than
 * that can be of no use to anybody, and ends the connection; a reply that never comes does so too,
 * and is asked for again on another one: it cannot be taken for what was asked there.
 */
#ifndef EGD_EGD_CLIENT_H
#define EGD_EGD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "egd/egd_wire.h"

#define EGD_CLIENT_REQUESTS_MAX 128 /* in one round; they are sent in one piece */
#define EGD_CLIENT_SEND_MAX ((size_t)EGD_CLIENT_REQUESTS_MAX * EGD_ASK_LEN)
#define EGD_CLIENT_ROUND_MIN 32 /* bytes: a seed of 256 bits */
#define EGD_CLIENT_ROUND_MAX ((size_t)EGD_CLIENT_REQUESTS_MAX * EGD_LEN_MAX)
#define EGD_CLIENT_QUICK_MS 100 /* a full round that takes no longer makes the next one larger */
#define EGD_CLIENT_SLOW_MS 1000 /* ... and one that takes longer, smaller */
#define EGD_CLIENT_LAG_MS \
	5000 /* for EGD_CLIENT_ROUND_MIN bytes; a server that takes longer lags \
	      */
#define EGD_CLIENT_PROBE_MS 30000 /* of silence, until an idle server is asked for its level */
#define EGD_CLIENT_PIECE_MAX 1024 /* bytes of entropy given at once */

enum egd_client_event {
	EGD_CLIENT_MORE,  /* all is taken */
	EGD_CLIENT_BYTES, /* entropy: `len` bytes at `bytes` */
	EGD_CLIENT_LEVEL, /* `bits` are with the server */
	EGD_CLIENT_PID,   /* the server's process id: `len` characters at `bytes` */
	EGD_CLIENT_BAD,   /* bytes that were not asked for: end the connection */
};

/* All zero: not connected. Fields are its own. */
struct egd_client {
	bool open;
	bool told;   /* the server has told its level */
	bool proven; /* ... and was quiet then */
	uint64_t patience_ms;
	uint64_t since_ms; /* of the last request, or of the last byte heard */
	size_t round;      /* bytes that the next one may ask for */
	size_t asked;      /* bytes of this round */
	uint64_t asked_ms;
	uint64_t kept_ms; /* when the round began, or the last EGD_CLIENT_ROUND_MIN bytes were whole
			   */
	size_t kept;      /* bytes that have come since */
	bool keeps_up;    /* the last piece made them whole, or the round, and in time */
	size_t owed;      /* bytes of it that have not come yet */
	bool has_single;  /* a level or pid request is not answered; its reply comes first */
	struct egd_request single;
	uint64_t partial_ms; /* when its first byte came */
	size_t partial_len;
	uint8_t partial[EGD_REPLY_MAX]; /* of its reply */
};

/*
 * A new connection. `patience_ms`: the longest time that a reply may take, and of entropy each
 * EGD_CLIENT_ROUND_MIN bytes: a server that sends a byte now and then is not waited for longer than
 * one that sends none.
 */
void egd_client_open(struct egd_client *c, uint64_t patience_ms, uint64_t now_ms);
void egd_client_close(struct egd_client *c);

/*
 * These write requests to `ret` and return their bytes: 0 while they cannot be asked. One level or
 * pid at a time, when nothing else is owed; a round of at most `want` bytes when no other is, of a
 * server that is proven.
 */
size_t egd_client_ask_single(struct egd_client *c, enum egd_op op, uint64_t now_ms,
			     uint8_t ret[static EGD_ASK_LEN]);
size_t egd_client_ask(struct egd_client *c, size_t want, uint64_t now_ms,
		      uint8_t ret[static EGD_CLIENT_SEND_MAX]);

/* The next event in what has come. Of BYTES and PID, *ret is where they lie, until `in` goes. */
enum egd_client_event egd_client_next(struct egd_client *c, struct cursor *in, uint64_t now_ms,
				      struct egd_reply *ret);

/* True while a reply, or the rest of one, is owed. */
bool egd_client_is_owed(const struct egd_client *c);

/* When the server lags with the entropy that it owes; UINT64_MAX: it owes none. */
uint64_t egd_client_lags_at(const struct egd_client *c);

/*
 * Proves the server when its deadline has come, nothing is owed and it is not proven yet. True when
 * it does: from now on the server can be asked for entropy.
 */
bool egd_client_prove(struct egd_client *c, uint64_t now_ms);

/*
 * When its patience is at an end, when the server is proven, or when an idle server should be asked
 * for its level; UINT64_MAX while it is closed.
 */
uint64_t egd_client_deadline(const struct egd_client *c);

/* We did not listen for a while: that was no silence. */
void egd_client_listens(struct egd_client *c, uint64_t now_ms);

#endif
