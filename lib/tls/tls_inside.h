/* SPDX-License-Identifier: MIT */
/* Shared by the files of lib/tls only. */
#ifndef LIB_TLS_TLS_INSIDE_H
#define LIB_TLS_TLS_INSIDE_H

#include <openssl/ssl.h>

#include "lib/file.h"
#include "lib/tls/psk.h"
#include "lib/tls/tls.h"

#ifndef SSL_R_UNEXPECTED_EOF_WHILE_READING /* OpenSSL 1.1 never says it */
#define SSL_R_UNEXPECTED_EOF_WHILE_READING 294
#endif

struct tls_context {
	SSL_CTX *ctx;
	unsigned users; /* the caller of tls_context_new(), and connections */
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
	char identity[PSK_IDENTITY_MAX + 1]; /* server: the last that the peer has offered ... */
	bool unknown;                        /* ... and it is not in the file */
	unsigned offers;                     /* server: identities in all of the handshake */
	bool closed;                         /* our close_notify is sent */
	char peer[TLS_PEER_MAX];
	char error[TLS_ERROR_MAX];
};

/* Copies printable ASCII; other bytes, and blanks, become '?'. Cut at `cap`. */
void tls_printable(const void *text, size_t len, char *ret, size_t cap);

/* Writes tls->error for the first error in OpenSSL's queue. */
void tls_explain(struct tls *tls);

#endif
