/* SPDX-License-Identifier: MIT */
/* Errors of a connection, in words that name the file or the key to look at. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/tls/tls_inside.h"

struct phrase {
	int reason;
	const char *text;
};

/* For reasons whose text in OpenSSL does not help. */
static const struct phrase phrases[] = {
	{SSL_R_UNSUPPORTED_PROTOCOL, "it does not speak TLS 1.3"},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it does not speak TLS 1.3"},
	{SSL_R_WRONG_VERSION_NUMBER, "it does not speak TLS"},
	{SSL_R_WRONG_SSL_VERSION, "it does not speak TLS"},
	{SSL_R_HTTP_REQUEST, "it does not speak TLS but HTTP"},
	{SSL_R_HTTPS_PROXY_REQUEST, "it does not speak TLS but HTTP"},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
	 "it sent neither a pre-shared key nor a certificate"},
	{SSL_R_NO_SHARED_CIPHER, "it offered no pre-shared key that is known here"},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "it offered no pre-shared key that is known here"},
	{SSL_R_UNEXPECTED_EOF_WHILE_READING, "cut off: it ended without close_notify"},
};

void
tls_printable(const void *text, size_t len, char *ret, size_t cap)
{
	const unsigned char *at = text;
	size_t i = 0;

	for (; i < len && i + 1 < cap; i++)
		ret[i] = at[i] > ' ' && at[i] <= '~' ? (char)at[i] : '?';
	ret[i] = '\0';
}

static void __attribute__((format(printf, 2, 3))) say(struct tls *tls, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(tls->error, sizeof(tls->error), format, args);
	va_end(args);
}

/* The peer has sent a certificate that is not valid here. */
static void
explain_cert(struct tls *tls)
{
	const struct tls_context *c = tls->context;
	long verdict = SSL_get_verify_result(tls->ssl);

	if (c->ca_path == NULL)
		say(tls, "it does not have identity \"%s\" of %s, and sent a certificate",
		    c->identity, c->psk_path);
	else if (verdict == X509_V_ERR_HOSTNAME_MISMATCH ||
		 verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
		say(tls, "its certificate is not for %s", c->peer_name);
	else
		say(tls, "its certificate is not valid by the roots in %s: %s", c->ca_path,
		    X509_verify_cert_error_string(verdict));
}

/* The peer has sent an alert, RFC 8446 6.2; with a key the usual cause is the key. */
static void
explain_alert(struct tls *tls, int alert)
{
	const struct tls_context *c = tls->context;
	const char *text = SSL_alert_desc_string_long(alert);

	if (c->psk_path != NULL && !c->server && !SSL_is_init_finished(tls->ssl))
		say(tls,
		    "it refused the connection: %s: does it have identity \"%s\" with the key of "
		    "%s?",
		    text, c->identity, c->psk_path);
	else
		say(tls, "it refused the connection: %s", text);
}

static void
explain_reason(struct tls *tls, unsigned long error)
{
	const char *text = ERR_reason_error_string(error);

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].reason == ERR_GET_REASON(error))
			text = phrases[i].text;
	say(tls, "%s", text != NULL ? text : "TLS failed");
}

void
tls_explain(struct tls *tls)
{
	unsigned long error = ERR_peek_error(); /* the first; others follow from it */
	int reason = ERR_GET_REASON(error);
	const char *psk_path = tls->context->psk_path;

	if (tls->unknown && !SSL_is_init_finished(tls->ssl))
		say(tls, "its identity \"%s\" is not in %s", tls->identity, psk_path);
	else if (reason == SSL_R_BINDER_DOES_NOT_VERIFY)
		say(tls, "its key is not that of identity \"%s\" in %s", tls->identity, psk_path);
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		explain_cert(tls);
	else if (reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION || reason <= SSL_AD_REASON_OFFSET)
		explain_reason(tls, error);
	else
		explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
}
