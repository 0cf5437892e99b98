/* SPDX-License-Identifier: MIT */
/* Shared by the files of crypto/tls, and by nobody else. */
#ifndef CRYPTO_TLS_INSIDE_H
#define CRYPTO_TLS_INSIDE_H

#include <openssl/ssl.h>

#include "base/file.h"
#include "crypto/psk.h"
#include "crypto/tls.h"

#ifndef SSL_R_UNEXPECTED_EOF_WHILE_READING /* OpenSSL 1.1 never says it */
#define SSL_R_UNEXPECTED_EOF_WHILE_READING 294
#endif

struct tls_context {
	SSL_CTX *ctx;
	unsigned users; /* its owner, until tls_context_free(), and its connections */
	bool server;
	struct file_text psk; /* checked; .text is NULL without */
	char *psk_path;
	char *ca_path;
	char *identity;  /* client with `psk` */
	char *peer_name; /* client with `ca` */
	char warning[TLS_ERROR_MAX];
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	bool unknown; /* server: the peer has named an identity that we do not know ... */
	char identity[PSK_IDENTITY_MAX + 1]; /* ... and it was this; or the one that we know */
	unsigned offers; /* server: identities that the peer has named, over its whole handshake */
	bool closed;     /* our close_notify is sent */
	char peer[TLS_PEER_MAX];
	char error[TLS_ERROR_MAX];
};

/* One user less. NULLs the pointer. */
void tls_context_drop(struct tls_context **context);

/* Sets the callbacks that choose and find keys in context->psk. */
void tls_psk_set_up(struct tls_context *context);

/* Copies what is printable ASCII, other bytes become '?'; cut at `cap`. */
void tls_printable(const void *text, size_t len, char *ret, size_t cap);

/* Writes tls->error for what OpenSSL's error queue holds. */
void tls_explain(struct tls *tls);

#endif
