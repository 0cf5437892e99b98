/* SPDX-License-Identifier: MIT */
/*
 * A way to an EGD server, opened for one request and closed after it: nothing has to be kept alive,
 * watched or found dead, and an address that has moved to another machine is simply asked there.
 * All calls wait, each until `end_ms` of clock_now_ms() at the latest, and then fail with
 * -ETIMEDOUT; a name server has limits of its own.
 */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/tls.h"
#include "egd/egd_wire.h"
#include "guest/options.h"

struct channel_kind;

/* Where to. */
struct channel_to {
	const char *address; /* as it was written */
	const struct channel_kind *kind;
	const char *where;
	struct tls_context *tls; /* NULL: in clear */
	bool trusted;            /* what comes from there deserves credit */
};

struct channel {
	int fd;
	struct tls *tls; /* NULL: in clear */
};

/*
 * Prepares `to`, without a connection yet. False with what is wrong in `error`. TLS reads its files
 * here.
 */
bool channel_prepare(struct channel_to *to, const char *address, const struct options *options,
		     char *error, size_t cap);

/* 0 or -errno; to be closed either way. */
int channel_open(struct channel *c, const struct channel_to *to, uint64_t end_ms);
void channel_close(struct channel *c);

/*
 * Asks a level or read request and receives its whole reply, of `len` bytes. 0 or -errno;
 * -ECONNRESET when the server ends the connection before, CONNECT_NOT_EGD when a byte came before
 * the question, or within EGD_QUIET_MS after the reply, CONNECT_ENDED when the connection
 * ended so soon after a level.
 */
int channel_ask(struct channel *c, struct egd_request request, uint8_t *ret, size_t len,
		uint64_t end_ms);

/* After a failure: why, in words. Before it is closed. */
const char *channel_why(const struct channel *c, int error);

#endif
