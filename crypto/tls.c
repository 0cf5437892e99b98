/* SPDX-License-Identifier: MIT */
#include "crypto/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "crypto/tls_inside.h"

/* ---- life ---- */

/* Whom a client expects: told to the server (names only: RFC 6066 3), and checked. */
static bool
tls_expect(SSL *ssl, char *name)
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
	    (context->peer_name != NULL && !tls_expect(tls->ssl, context->peer_name))) {
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
	tls_context_drop(&t->context);
	OPENSSL_free(t);
	*tls = NULL;
}

/* ---- outcomes ---- */

static bool
tls_is_cut(int reason)
{
	return reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* Before each call: what it leaves behind must be its own. */
static void
tls_begin(void)
{
	ERR_clear_error();
	errno = 0;
}

static int
tls_fail_socket(struct tls *tls, int error)
{
	/* OpenSSL 1.1 tells of an end without close_notify as of a call that failed with 0. */
	if (error == 0)
		error = ECONNRESET;
	snprintf(tls->error, sizeof(tls->error), "%s", strerror(error));
	return -error;
}

/* Of a call that has returned `n` <= 0; never 0. */
static int
tls_outcome(struct tls *tls, int n)
{
	int error = errno;

	switch (SSL_get_error(tls->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_SYSCALL:
		return tls_fail_socket(tls, error);
	default:
		tls_explain(tls);
		return tls_is_cut(ERR_GET_REASON(ERR_peek_error())) ? -ECONNRESET : -EPROTO;
	}
}

/* ---- who it is ---- */

static void
tls_peer_from_name(struct tls *tls, const ASN1_STRING *name)
{
	char text[TLS_PEER_MAX - sizeof("cert:")];

	tls_printable(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name), text,
		      sizeof(text));
	snprintf(tls->peer, sizeof(tls->peer), "cert:%s", text);
}

static void
tls_peer_from_dns(struct tls *tls, const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = sk_GENERAL_NAME_num(names); i-- > 0;) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			tls_peer_from_name(tls, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
}

static void
tls_peer_from_cert(struct tls *tls, X509 *cert)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	/* One that the roots vouch for, and who has neither, is not nobody. */
	snprintf(tls->peer, sizeof(tls->peer), "cert:unnamed");

	if (at >= 0)
		tls_peer_from_name(tls, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	else
		tls_peer_from_dns(tls, cert);
}

static void
tls_recognise(struct tls *tls)
{
	const char *identity = tls->context->server ? tls->identity : tls->context->identity;
	X509 *cert = SSL_get_peer_certificate(tls->ssl);

	if (SSL_session_reused(tls->ssl))
		snprintf(tls->peer, sizeof(tls->peer), "psk:%s", identity);
	else if (cert != NULL)
		tls_peer_from_cert(tls, cert);
	X509_free(cert);
}

/* ---- calls ---- */

int
tls_handshake(struct tls *tls)
{
	int n;

	tls_begin();
	n = SSL_do_handshake(tls->ssl);
	if (n != 1)
		return tls_outcome(tls, n);
	tls_recognise(tls);
	return 0;
}

static ssize_t
tls_take(struct tls *tls, int (*take)(SSL *ssl, void *ret, int len), uint8_t *ret, size_t len)
{
	int n;

	tls_begin();
	n = take(tls->ssl, ret, len < INT_MAX ? (int)len : INT_MAX);
	if (n > 0)
		return n;
	return SSL_get_error(tls->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : tls_outcome(tls, n);
}

ssize_t
tls_read(struct tls *tls, uint8_t *ret, size_t len)
{
	return tls_take(tls, SSL_read, ret, len);
}

ssize_t
tls_peek(struct tls *tls, uint8_t *ret, size_t len)
{
	return tls_take(tls, SSL_peek, ret, len);
}

ssize_t
tls_write(struct tls *tls, const uint8_t *bytes, size_t len)
{
	int n;

	tls_begin();
	n = SSL_write(tls->ssl, bytes, len < INT_MAX ? (int)len : INT_MAX);
	return n > 0 ? n : tls_outcome(tls, n);
}

int
tls_close(struct tls *tls)
{
	int n;

	if (tls->closed)
		return 0;
	tls_begin();
	n = SSL_shutdown(tls->ssl);
	if (n < 0)
		return tls_outcome(tls, n);
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
