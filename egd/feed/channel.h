/* SPDX-License-Identifier: MIT */
/*
 * A connection to an EGD server for one request: nothing has to be kept alive or watched, and an
 * address that has moved to another machine is found there. All calls block, until `end_ms` of
 * clock_now_ms() at the latest, and then fail with -ETIMEDOUT; name servers have limits of their
 * own.
 */
#ifndef EGD_FEED_CHANNEL_H
#define EGD_FEED_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "egd/egd_wire.h"
#include "egd/feed/options.h"
#include "lib/address.h"
#include "lib/tls/tls.h"

/* Beyond the errors of system calls. */
#define CONNECT_NO_HOST (-100000)    /* no name server knows the name */
#define CONNECT_NO_XEN (-100001)     /* this is no guest of Xen */
#define CONNECT_NO_CHANNEL (-100002) /* the guest does not have the channel */
#define CONNECT_NO_ANSWER (-100003)  /* no byte came from the other end */
#define CONNECT_NOT_EGD (-100004)    /* an EGD server does not send the bytes that came */
#define CONNECT_ENDED (-100005)      /* the other end closed the connection after the level */

struct channel_kind;

/* An address, and how to connect to it. */
struct channel_to {
	const char *address; /* as it was written */
	const struct channel_kind *kind;
	const char *where; /* behind the prefix */
	union {            /* the same, parsed */
		struct address vsock;
		struct address_host host;
	};
	struct tls_context *tls; /* NULL: in clear */
	bool trusted;            /* its bytes get credit */
};

struct channel {
	int fd;
	struct tls *tls; /* NULL: in clear */
};

/* Prepares `to` and reads the files of TLS; does not connect. False with a text in `error`. */
bool channel_prepare(struct channel_to *to, const char *address, const struct options *options,
		     char error[static TLS_ERROR_MAX]);

/* 0 or -errno; to be closed either way. */
int channel_open(struct channel *c, const struct channel_to *to, uint64_t end_ms);
void channel_close(struct channel *c);

/*
 * Sends a level or read request and receives its whole reply, of `len` bytes. 0 or -errno;
 * -ECONNRESET when the server ends the connection before, CONNECT_NOT_EGD when a byte came before
 * the request or within EGD_QUIET_MS after the reply, CONNECT_ENDED when the connection ended that
 * early after a level.
 */
int channel_ask(struct channel *c, struct egd_request request, uint8_t *ret, size_t len,
		uint64_t end_ms);

/* Returns the text of an error; to be called before channel_close(). */
const char *channel_why(const struct channel *c, int error);

/* ---- lines ---- */

/*
 * Opens a serial or hypervisor console, made raw, or any other character device, such as a port of
 * virtio-serial, when a server at its other end has sent its level and was quiet then.
 */
int connect_tty(const char *path, uint64_t end_ms);

/* Opens the channel of a guest of Xen. */
int connect_xen(uint64_t end_ms);

/* Waits until `fd` is ready for `events` (poll(2)). 0, or -ETIMEDOUT at `end_ms`, or -errno. */
int connect_wait(int fd, short events, uint64_t end_ms);

#endif
