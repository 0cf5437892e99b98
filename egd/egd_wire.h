/* SPDX-License-Identifier: MIT */
/*
 * The Entropy Gathering Daemon's protocol as bytes, for servers and clients. A request has at most
 * 259 bytes and a reply 256: a buffer of that size needs no other state. doc/protocol.md 8,
 * doc/egd.md.
 *
 *     00                  -> U32, big-endian: bits available    (level)
 *     01 LEN              -> COUNT, COUNT bytes: at most LEN, those available at once   (try)
 *     02 LEN              -> LEN bytes, when they are available (read)
 *     03 BITS BITS LEN .. -> nothing: LEN bytes for the pool    (add)
 *     04                  -> LEN, LEN characters: a process id  (pid)
 */
#ifndef EGD_EGD_WIRE_H
#define EGD_EGD_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

#define EGD_LEN_MAX 255 /* bytes that one request may ask for */
#define EGD_REQUEST_MAX (4 + EGD_LEN_MAX)
#define EGD_REPLY_MAX (1 + EGD_LEN_MAX)
#define EGD_ASK_LEN 2   /* bytes of the longest request that we send */
#define EGD_LEVEL_LEN 4 /* bytes of the reply to 00 */
#define EGD_PID_MAX 21  /* bytes of the reply to 04: 20 digits hold any number */

/*
 * Another server may send text to a new connection, and any text can be taken for entropy. So a
 * client first sends 00: the reply must be exactly four bytes, the last no later than EGD_QUIET_MS
 * after the first, and no byte may follow for EGD_QUIET_MS. Otherwise the client closes the
 * connection and logs EGD_TEXT_NOT_ASKED.
 */
#define EGD_QUIET_MS 200
#define EGD_TEXT_NOT_ASKED \
	"it sent bytes that were not asked for: it is no EGD server, or its [listen] has greet"

enum egd_op { EGD_GET_COUNT = 0, EGD_READ_NB = 1, EGD_READ = 2, EGD_WRITE = 3, EGD_GET_PID = 4 };

struct egd_request {
	enum egd_op op;
	uint8_t len; /* try, read: bytes wanted; add: bytes offered */
};

/* In a cursor's bytes: a whole message, which was taken; the beginning of one, or bytes that are no
 * message of this protocol, and then nothing was taken. */
enum egd_found { EGD_WHOLE, EGD_PARTIAL, EGD_BAD };

/* ---- servers ---- */

/* Takes the next request. The bytes of an add are skipped. */
enum egd_found egd_wire_request(struct cursor *in, struct egd_request *ret);

/* Writes the reply to a level request: 8 x `bytes`, or the most that 32 bits can hold. */
void egd_wire_put_level(uint64_t bytes, uint8_t ret[static EGD_LEVEL_LEN]);

/* Writes the reply to a pid request; returns its length. */
size_t egd_wire_put_pid(uint64_t pid, uint8_t ret[static EGD_PID_MAX]);

/* ---- clients ---- */

/* Writes a level, read or pid request; returns its length. */
size_t egd_wire_put_request(struct egd_request request, uint8_t ret[static EGD_ASK_LEN]);

struct egd_reply {
	uint32_t bits;        /* of a level */
	const uint8_t *bytes; /* `len` of them, in the cursor's memory */
	size_t len;
};

/* Takes the reply to a level or pid request. Bad: a pid that is too long. */
enum egd_found egd_wire_reply(enum egd_op asked, struct cursor *in, struct egd_reply *ret);

#endif
