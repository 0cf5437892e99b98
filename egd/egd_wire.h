/* SPDX-License-Identifier: MIT */
/*
 * The Entropy Gathering Daemon's protocol as bytes, for those who serve it and those who ask. A
 * request has at most 259 bytes and a reply 256: who keeps that many needs no state in between.
 * PROTOCOL 8, EGD.md.
 *
 *     00                  -> U32, big-endian: bits there        (level)
 *     01 LEN              -> COUNT, COUNT bytes: at most LEN, what is there at once   (try)
 *     02 LEN              -> LEN bytes, when they are there     (read)
 *     03 BITS BITS LEN .. -> nothing: LEN bytes for the pool    (add)
 *     04                  -> LEN, LEN characters: a process id  (pid)
 */
#ifndef EGD_EGD_WIRE_H
#define EGD_EGD_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define EGD_LEN_MAX 255 /* bytes that one request may ask for */
#define EGD_REQUEST_MAX (4 + EGD_LEN_MAX)
#define EGD_REPLY_MAX (1 + EGD_LEN_MAX)
#define EGD_ASK_LEN 2   /* bytes of the longest request that we send */
#define EGD_LEVEL_LEN 4 /* bytes of the reply to 00 */
#define EGD_PID_MAX 21  /* bytes of the reply to 04: 20 digits hold any number */

/*
 * What is not an EGD server may send text when it is connected to, and any text can be taken for
 * entropy. So 00 is asked first: the reply is exactly four bytes, the last no later than
 * EGD_QUIET_MS after the first, and then no byte comes for EGD_QUIET_MS. Else the client ends the
 * connection and says EGD_TEXT_NOT_ASKED.
 */
#define EGD_QUIET_MS 200
#define EGD_TEXT_NOT_ASKED \
	"it sent bytes that were not asked for: it is no EGD server, or its [listen] has greet"

enum egd_op { EGD_LEVEL = 0, EGD_TRY = 1, EGD_READ = 2, EGD_ADD = 3, EGD_PID = 4 };

struct egd_request {
	enum egd_op op;
	uint8_t len; /* try, read: bytes wanted; add: bytes that were offered */
};

/* Found in a cursor's bytes: one whole thing, which was taken; the beginning of one, or what no
 * peer that speaks this protocol sends, and then nothing was taken. */
enum egd_found { EGD_WHOLE, EGD_PARTIAL, EGD_BAD };

/* ---- who serves ---- */

/* The next request. The bytes of an add are passed over. */
enum egd_found egd_wire_request(struct cursor *in, struct egd_request *ret);

/* The reply to a level request where `bytes` are ready; as many bits as the reply can say. */
void egd_wire_put_level(uint64_t bytes, uint8_t ret[static EGD_LEVEL_LEN]);

/* The reply to a pid request; returns its bytes. */
size_t egd_wire_put_pid(uint64_t pid, uint8_t ret[static EGD_PID_MAX]);

/* ---- who asks ---- */

/* A level, try, read or pid request (we never add); returns its bytes. */
size_t egd_wire_put_request(struct egd_request request, uint8_t ret[static EGD_ASK_LEN]);

struct egd_reply {
	uint32_t bits;        /* level */
	const uint8_t *bytes; /* try, read, pid: `len` of them, in the cursor's memory */
	size_t len;
};

/* The reply to `asked`. Bad: a try that was answered with more than it wanted, a pid too long. */
enum egd_found egd_wire_reply(struct egd_request asked, struct cursor *in, struct egd_reply *ret);

#endif
