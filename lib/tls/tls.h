/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.3 only (RFC 8446), by OpenSSL, over a non-blocking socket that the caller owns and polls.
 * Peers authenticate by a pre-shared key, always with (EC)DHE, or by certificates. There are no
 * tickets, no early data, no renegotiation: no connection depends on another. SIGPIPE must be
 * ignored.
 */
#ifndef LIB_TLS_TLS_H
#define LIB_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_ERROR_MAX 256     /* of an error's text, with its NUL */
#define TLS_PEER_MAX 160      /* of an identity, with its prefix and NUL */
#define TLS_WANT_READ -10001  /* call again when the socket is readable; below every -errno */
#define TLS_WANT_WRITE -10002 /* call again when the socket is writable */

/*
 * Paths of files, or NULL. A server needs `psk`, or `cert`, or both. A client needs `psk` or `ca`,
 * by which it authenticates the server.
 */
struct tls_config {
	bool server;
	const char *psk;      /* lines "identity:hexkey" (lib/tls/psk.h), as in stunnel */
	const char *identity; /* client: its line in `psk`; NULL: the first */
	const char *cert;     /* PEM: ours, and those between it and the root */
	const char *key;      /* PEM, without a password; NULL: in `cert` too */
	const char *ca;       /* PEM: roots; a server then requires a certificate of each client */
	const char
		*peer_name; /* client with `ca`: host name or address in the server's certificate */
};

/*
 * Seeds OpenSSL's generator from the kernel, after this machine was cloned: otherwise handshakes of
 * both clones would have the same secrets. Connections have theirs already, and have to be ended.
 */
void tls_reseed(void);

struct tls_context; /* a listener's, or an upstream's */
struct tls;         /* one connection */

/*
 * Reads the files and checks them against each other. NULL with a text that names the file and the
 * cause. Nothing of `config` is kept, and the files may change later.
 */
struct tls_context *tls_context_new(const struct tls_config *config,
				    char error[static TLS_ERROR_MAX]);

/* Connections still work without it. NULLs the pointer. */
void tls_context_free(struct tls_context **context);

/* NULL, or a line for the log with the cure: other users can read a file, or a key is slow. */
const char *tls_context_warning(const struct tls_context *context);

/* NULL: no memory. `fd` stays the caller's, to be closed after tls_free(). */
struct tls *tls_new(struct tls_context *context, int fd);

/* Wipes and frees; sends nothing to the peer. NULLs the pointer. */
void tls_free(struct tls **tls);

/*
 * All of these return TLS_WANT_READ or TLS_WANT_WRITE when they must wait, and -errno when the
 * connection is lost: -EPROTO: TLS failed, or the peer is not authenticated; -ECONNRESET: it ended
 * without close_notify, and may have lost bytes; otherwise the socket's error. tls_error_text()
 * then has the cause, and only tls_free() may follow.
 */

/* 0 when both sides are authenticated; the first call of a connection. */
int tls_handshake(struct tls *tls);

/*
 * Returns the bytes read (1..len), or 0 after the peer's close_notify: it sends nothing after it,
 * but still reads. Read until TLS_WANT_READ before polling: bytes may be buffered here.
 */
ssize_t tls_read(struct tls *tls, uint8_t *ret, size_t len);

/* Reads as tls_read(), and leaves the bytes for the next read. */
ssize_t tls_peek(struct tls *tls, uint8_t *ret, size_t len);

/*
 * Returns the bytes taken (1..len). After TLS_WANT_WRITE the next call must begin with the same
 * bytes, at the same or another place.
 */
ssize_t tls_write(struct tls *tls, const uint8_t *bytes, size_t len);

/* Sends close_notify, once; reading is still possible. 0 when it is sent. */
int tls_close(struct tls *tls);

/*
 * The peer's identity: "psk:IDENTITY", "cert:NAME" (the subject's common name, else the first DNS
 * name), or "": a client of a server without `psk` and `ca` is not authenticated. Printable ASCII.
 * Valid as long as `tls`.
 */
const char *tls_peer(const struct tls *tls);

/*
 * Whether the client was authenticated by a pre-shared key that `now`, a server's context, does not
 * have, or has with another value.
 */
bool tls_is_revoked(const struct tls *tls, const struct tls_context *now);

/* The cause of the last failure, for the log. Text from the peer in it is printable ASCII. */
const char *tls_error_text(const struct tls *tls);

#endif
