/* SPDX-License-Identifier: MIT */
/* External pre-shared keys of TLS 1.3, RFC 8446 4.2.11: OpenSSL wants them as sessions. */
#include <string.h>

#include "base/secret.h"
#include "crypto/tls_inside.h"

/*
 * Identities that a client may name: it has one, or a few, and may have to say them twice. The
 * protocol has room for nine thousand in one message, and each is looked for in the whole file.
 */
#define TLS_PSK_OFFERS_MAX 8

/* Any suite with SHA-256, the hash of a key that says nothing of one, will do. */
static const unsigned char tls_psk_suite[] = {0x13, 0x01};

static SSL_SESSION *
tls_psk_session(SSL *ssl, const struct psk *psk)
{
	SSL_SESSION *session = SSL_SESSION_new();

	if (session != NULL && SSL_SESSION_set1_master_key(session, psk->key, psk->key_len) == 1 &&
	    SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, tls_psk_suite)) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

/*
 * A server, for each identity that the client names. Of an unknown one we say nothing yet: the
 * handshake goes on, with certificates if there are any, and else fails.
 */
static int
tls_psk_find(SSL *ssl, const unsigned char *identity, size_t len, SSL_SESSION **ret)
{
	struct tls *tls = SSL_get_app_data(ssl);
	const struct file_text *text = &tls->context->psk;
	struct psk psk;

	*ret = NULL;
	if (++tls->offers > TLS_PSK_OFFERS_MAX)
		return 0;
	tls_printable(identity, len, tls->identity, sizeof(tls->identity));
	tls->unknown = !psk_find(text->text, text->len, (const char *)identity, len, &psk);
	if (!tls->unknown)
		*ret = tls_psk_session(ssl, &psk);
	secret_wipe(&psk, sizeof(psk));
	return tls->unknown || *ret != NULL;
}

/* A client; `identity` is not copied, and lives as long as the context. */
static int
tls_psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity, size_t *ret_len,
	    SSL_SESSION **ret)
{
	const struct tls *tls = SSL_get_app_data(ssl);
	const struct tls_context *c = tls->context;
	struct psk psk;

	(void)md; /* all suites that we offer have the same */
	psk_find(c->psk.text, c->psk.len, c->identity, strlen(c->identity), &psk);
	*ret = tls_psk_session(ssl, &psk);
	*ret_identity = (const unsigned char *)c->identity;
	*ret_len = strlen(c->identity);
	secret_wipe(&psk, sizeof(psk));
	return *ret != NULL;
}

/* The peer's key as `c` has it; false when it has none. */
static bool
tls_psk_of(const struct tls *tls, const struct tls_context *c, struct psk *ret)
{
	return c->psk.text != NULL &&
	       psk_find(c->psk.text, c->psk.len, tls->identity, strlen(tls->identity), ret);
}

bool
tls_is_revoked(const struct tls *tls, const struct tls_context *now)
{
	struct psk was, is;
	bool same;

	if (strncmp(tls->peer, "psk:", strlen("psk:")) != 0 || !tls_psk_of(tls, tls->context, &was))
		return false;
	same = tls_psk_of(tls, now, &is) && was.key_len == is.key_len &&
	       secret_equal(was.key, is.key, was.key_len);
	secret_wipe(&was, sizeof(was));
	secret_wipe(&is, sizeof(is));
	return !same;
}

void
tls_psk_set_up(struct tls_context *context)
{
	if (context->server)
		SSL_CTX_set_psk_find_session_callback(context->ctx, tls_psk_find);
	else
		SSL_CTX_set_psk_use_session_callback(context->ctx, tls_psk_use);
}
