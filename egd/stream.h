/* SPDX-License-Identifier: MIT */
/*
 * The socket of one connection, and TLS over it, if any. The fd is non-blocking and polled by
 * others, edge-triggered, so all of these go on until they have to wait.
 */
#ifndef EGD_STREAM_H
#define EGD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crypto/tls.h"

struct egd_stream {
	int fd;
	struct tls *tls;   /* NULL: plain */
	bool wants_output; /* TLS waits until the socket is writable, whatever we wanted to do */
};

/* Begins TLS on a connection's fd. 0 or -ENOMEM. */
int egd_stream_begin_tls(struct egd_stream *s, struct tls_context *context);

/* 0 when both ends are known, -EAGAIN, or -errno: the connection is lost. Plain: 0. */
int egd_stream_handshake(struct egd_stream *s);

/* Bytes read, 0 when the peer will send no more, -EAGAIN when there are none, or -errno. */
ssize_t egd_stream_read(struct egd_stream *s, uint8_t *ret, size_t len);

/* Bytes that were sent, -EAGAIN when the peer must read first, or -errno. */
ssize_t egd_stream_write(struct egd_stream *s, const uint8_t *bytes, size_t len);

/* True when the peer is gone altogether, and does not only send no more. */
bool egd_stream_is_dead(const struct egd_stream *s);

/* What TLS has proven of the peer, or "". */
const char *egd_stream_peer(const struct egd_stream *s);

/* Ends it, politely as far as that needs no waiting. */
void egd_stream_close(struct egd_stream *s);

#endif
