/* SPDX-License-Identifier: MIT */
#include "lib/tls/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "lib/tls/tls_inside.h"

/* ---- life ---- */

/* Sets the name that a client checks, and, where it is no address, sends (RFC 6066 3). */
static bool
expect_name(SSL *ssl, char *name)
{
	struct in6_addr ip;

	if (inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls *
tls_new(struct tls_context *context, int fd)
{
	struct tls *tls = OPENSSL_zalloc(sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->context = context;
	context->users++;
	tls->ssl = SSL_new(context->ctx);
	if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 ||
	    (context->peer_name != NULL && !expect_name(tls->ssl, context->peer_name))) {
		tls_free(&tls);
		return NULL;
	}
	SSL_set_app_data(tls->ssl, tls);
	if (context->server)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return tls;
}

void
tls_free(struct tls **tls)
{
	struct tls *t = *tls;

	if (t == NULL)
		return;
	SSL_free(t->ssl);
	tls_context_free(&t->context);
	OPENSSL_free(t);
	*tls = NULL;
}

/* ---- outcomes ---- */

/* Before each call: the errors that are left after it must be its own. */
static void
begin(void)
{
	ERR_clear_error();
	errno = 0;
}

/* Of a call that has returned `n` <= 0; never 0. */
static int
outcome(struct tls *tls, int n)
{
	int error = errno;

	switch (SSL_get_error(tls->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_SYSCALL:
		/* OpenSSL 1.1 reports an end without close_notify as a call that failed with 0. */
		error = error == 0 ? ECONNRESET : error;
		snprintf(tls->error, sizeof(tls->error), "%s", strerror(error));
		return -error;
	default:
		tls_explain(tls);
		return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
			       ? -ECONNRESET
			       : -EPROTO;
	}
}

/* ---- the peer ---- */

/* By the common name, else the first DNS name; "unnamed" is not "", which is no identity. */
static void
name_by_cert(struct tls *tls, X509 *cert)
{
	GENERAL_NAMES *others = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *name = NULL;
	char text[TLS_PEER_MAX - sizeof("cert:")] = "unnamed";

	if (at >= 0)
		name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	for (int i = 0; name == NULL && i < sk_GENERAL_NAME_num(others); i++)
		if (sk_GENERAL_NAME_value(others, i)->type == GEN_DNS)
			name = sk_GENERAL_NAME_value(others, i)->d.dNSName;
	if (name != NULL)
		tls_printable(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name), text,
			      sizeof(text));
	GENERAL_NAMES_free(others);
	snprintf(tls->peer, sizeof(tls->peer), "cert:%s", text);
}

static void
name_peer(struct tls *tls)
{
	const char *identity = tls->context->server ? tls->identity : tls->context->identity;
	X509 *cert = SSL_get_peer_certificate(tls->ssl);

	if (SSL_session_reused(tls->ssl))
		snprintf(tls->peer, sizeof(tls->peer), "psk:%s", identity);
	else if (cert != NULL)
		name_by_cert(tls, cert);
	X509_free(cert);
}

/* ---- calls ---- */

int
tls_handshake(struct tls *tls)
{
	int n;

	begin();
	n = SSL_do_handshake(tls->ssl);
	if (n != 1)
		return outcome(tls, n);
	name_peer(tls);
	return 0;
}

static ssize_t
take_bytes(struct tls *tls, int (*take)(SSL *ssl, void *ret, int len), uint8_t *ret, size_t len)
{
	int n;

	begin();
	n = take(tls->ssl, ret, len < INT_MAX ? (int)len : INT_MAX);
	if (n > 0)
		return n;
	return SSL_get_error(tls->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : outcome(tls, n);
}

ssize_t
tls_read(struct tls *tls, uint8_t *ret, size_t len)
{
	return take_bytes(tls, SSL_read, ret, len);
}

ssize_t
tls_peek(struct tls *tls, uint8_t *ret, size_t len)
{
	return take_bytes(tls, SSL_peek, ret, len);
}

ssize_t
tls_write(struct tls *tls, const uint8_t *bytes, size_t len)
{
	int n;

	begin();
	n = SSL_write(tls->ssl, bytes, len < INT_MAX ? (int)len : INT_MAX);
	return n > 0 ? n : outcome(tls, n);
}

int
tls_close(struct tls *tls)
{
	int n;

	if (tls->closed)
		return 0;
	begin();
	n = SSL_shutdown(tls->ssl);
	if (n < 0)
		return outcome(tls, n);
	tls->closed = true;
	return 0;
}

const char *
tls_peer(const struct tls *tls)
{
	return tls->peer;
}

const char *
tls_error_text(const struct tls *tls)
{
	return tls->error;
}
