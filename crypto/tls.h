/* SPDX-License-Identifier: MIT */
/*
 * TLS 1.3 and nothing older (RFC 8446), by OpenSSL, over a non-blocking socket that somebody else
 * owns and polls. Peers prove themselves by a pre-shared key, always with (EC)DHE, or by
 * certificates. There are no tickets, no early data, no renegotiation: each connection stands for
 * itself. SIGPIPE must be ignored.
 */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TLS_ERROR_MAX 256     /* of an error's text, with its NUL */
#define TLS_PEER_MAX 160      /* of an identity, with its prefix and NUL */
#define TLS_WANT_READ -10001  /* call again when the socket is readable; below every -errno */
#define TLS_WANT_WRITE -10002 /* call again when the socket is writable */

/*
 * Paths of files, or NULL. A server needs `psk`, or `cert`, or both. A client needs `psk` or `ca`:
 * whom it cannot know it does not talk to.
 */
struct tls_config {
	bool server;
	const char *psk;       /* lines "identity:hexkey" (crypto/psk.h); stunnel's form */
	const char *identity;  /* client: its line in `psk`; NULL: the first */
	const char *cert;      /* PEM: ours, and what leads to the root */
	const char *key;       /* PEM, without a password; NULL: in `cert` too */
	const char *ca;        /* PEM: roots; a server then asks every client for a certificate */
	const char *peer_name; /* client: host name or address that the server's certificate has */
};

/*
 * OpenSSL's generator takes in fresh bytes of the kernel's: for a machine that was cloned, lest the
 * clones' handshakes have the same secrets. Connections have theirs already: they are to be ended.
 */
void tls_reseed(void);

struct tls_context; /* a listener's, or an upstream's */
struct tls;         /* one connection */

/*
 * Reads the files and checks them against each other. NULL with a text that names the file and the
 * cause. Files may change and be removed later: nothing of `config` is kept.
 */
struct tls_context *tls_context_new(const struct tls_config *config,
				    char error[static TLS_ERROR_MAX]);

/* Connections go on without it. NULLs the pointer. */
void tls_context_free(struct tls_context **context);

/* NULL, or one line for the log: a file that others may read, or a slow key, and what to do. */
const char *tls_context_warning(const struct tls_context *context);

/* NULL: no memory. `fd` stays the caller's, who closes it after tls_free(). */
struct tls *tls_new(struct tls_context *context, int fd);

/* Wipes; says nothing to the peer. NULLs the pointer. */
void tls_free(struct tls **tls);

/*
 * All of these return TLS_WANT_READ or TLS_WANT_WRITE when they must wait, and -errno when the
 * connection is lost: -EPROTO, when TLS failed or the peer is not whom we know, -ECONNRESET, when
 * it ended without close_notify (it was cut: what came may lack its end), else the socket's.
 * tls_error_text() then says why. After it only tls_free() makes sense.
 */

/* 0 when both sides have proven themselves; needed before all else. */
int tls_handshake(struct tls *tls);

/*
 * Bytes read (1..len), or 0 after the peer's close_notify: it will send no more, but still reads.
 * Read until TLS_WANT_READ before polling: bytes may lie here that the socket does not show.
 */
ssize_t tls_read(struct tls *tls, uint8_t *ret, size_t len);

/* As tls_read(), and the bytes stay: the next read has them again. */
ssize_t tls_peek(struct tls *tls, uint8_t *ret, size_t len);

/*
 * Bytes taken (1..len). After TLS_WANT_WRITE the next call must have the same bytes again, and may
 * have more after them; they may have moved.
 */
ssize_t tls_write(struct tls *tls, const uint8_t *bytes, size_t len);

/* Sends close_notify, once: we write no more, but still read. 0 when it is sent. */
int tls_close(struct tls *tls);

/*
 * Who it is: "psk:IDENTITY", "cert:NAME" (the subject's common name, else the first DNS name), or
 * "" of one who has not proven anything: a client where neither `psk` nor `ca` is asked for.
 * Printable ASCII. Lives as long as `tls`.
 */
const char *tls_peer(const struct tls *tls);

/*
 * True when the peer has proven itself by a pre-shared key that `now`, a server's context, has not
 * any more.
 */
bool tls_is_revoked(const struct tls *tls, const struct tls_context *now);

/* Why the last call failed: a phrase for the log; of the peer only printable ASCII is in it. */
const char *tls_error_text(const struct tls *tls);

#endif
