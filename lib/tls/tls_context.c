/* SPDX-License-Identifier: MIT */
/* The files of a configuration, and what its connections share. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/secret.h"
#include "lib/tls/tls_inside.h"

#define TLS_FILE_MAX ((size_t)1 << 20)
/* Permission bits that a file with a key must not have; its group may read it, that is us. */
#define TLS_MODE_BAD 0037
#define TLS_RSA_MAX 2048 /* bits; a larger key takes a server milliseconds for each handshake */

/*
 * One list, with or without PSK: a key has no hash of its own, so that SHA-256 is meant (RFC 8446
 * 4.2.11), and the suite must have the same.
 */
#define TLS_SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/*
 * Identities that a client may offer: it has one, or a few, and may have to send them twice. The
 * protocol has room for nine thousand in one message, and each is looked up in the whole file.
 */
#define TLS_PSK_OFFERS_MAX 8

#ifndef SSL_OP_CLEANSE_PLAINTEXT /* OpenSSL 1.1: wiped when the buffer is freed, which is soon */
#define SSL_OP_CLEANSE_PLAINTEXT 0
#endif

/* Writes the cause. False, for the caller to return. */
static bool __attribute__((format(printf, 2, 3)))
refuse(char error[static TLS_ERROR_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, TLS_ERROR_MAX, format, args);
	va_end(args);
	ERR_clear_error();
	return false;
}

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "OpenSSL gives no reason";
}

/* ---- files ---- */

static bool
load(const char *path, struct file_text *ret, char error[static TLS_ERROR_MAX])
{
	int result = file_read(path, TLS_FILE_MAX, ret);

	return result == 0 || refuse(error, "%s: %s", path, file_error_text(-result));
}

static void
warn_mode(struct tls_context *c, const char *path, mode_t mode)
{
	if ((mode & TLS_MODE_BAD) != 0 && c->warning[0] == '\0')
		snprintf(c->warning, sizeof(c->warning),
			 "%s: mode %04o lets others read or change the key: chmod 0600 it, or 0640"
			 " for our group",
			 path, (unsigned)mode);
}

static void
warn_rsa(struct tls_context *c, const char *path, const EVP_PKEY *key)
{
	int bits = EVP_PKEY_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_bits(key) : 0;

	if (c->server && bits > TLS_RSA_MAX && c->warning[0] == '\0')
		snprintf(c->warning, sizeof(c->warning),
			 "%s: RSA with %d bits makes each handshake slow: prefer Ed25519 or P-256",
			 path, bits);
}

/* ---- pre-shared keys, RFC 8446 4.2.11 ---- */

/* The key of an identity. Returns its length; 0: the identity is not in the file of `c`. */
static unsigned
find_key(const struct tls_context *c, const char *identity, uint8_t ret[static PSK_KEY_MAX])
{
	struct psk psk;
	unsigned len;

	if (c->psk.text == NULL ||
	    !psk_find(c->psk.text, c->psk.len, identity, strlen(identity), &psk))
		return 0;
	len = (unsigned)psk.key_len;
	memcpy(ret, psk.key, len);
	secret_wipe(&psk, sizeof(psk));
	return len;
}

/*
 * Called for each identity that a client offers. An unknown one is no error yet: the handshake
 * continues with certificates, if there are any, and else fails. OpenSSL takes the key for one with
 * SHA-256, as RFC 8446 has it for a key without a hash of its own, and wipes it.
 */
static unsigned
on_psk_offered(SSL *ssl, const char *identity, unsigned char *ret, unsigned cap)
{
	struct tls *tls = SSL_get_app_data(ssl);
	unsigned len;

	if (++tls->offers > TLS_PSK_OFFERS_MAX || cap < PSK_KEY_MAX)
		return 0;
	tls_printable(identity, strlen(identity), tls->identity, sizeof(tls->identity));
	len = find_key(tls->context, identity, ret);
	tls->unknown = len == 0;
	return len;
}

static unsigned
on_psk_needed(SSL *ssl, const char *hint, char *ret_identity, unsigned identity_cap,
	      unsigned char *ret, unsigned cap)
{
	const struct tls *tls = SSL_get_app_data(ssl);
	const struct tls_context *c = tls->context;

	(void)hint; /* of TLS 1.2 */
	if (identity_cap <= strlen(c->identity) || cap < PSK_KEY_MAX)
		return 0;
	strcpy(ret_identity, c->identity);
	return find_key(c, c->identity, ret);
}

bool
tls_is_revoked(const struct tls *tls, const struct tls_context *now)
{
	uint8_t was[PSK_KEY_MAX], is[PSK_KEY_MAX];
	unsigned len;
	bool same;

	if (strncmp(tls->peer, "psk:", strlen("psk:")) != 0 || !tls->context->server)
		return false;
	len = find_key(tls->context, tls->identity, was);
	same = find_key(now, tls->identity, is) == len && secret_equal(was, is, len);
	secret_wipe(was, sizeof(was));
	secret_wipe(is, sizeof(is));
	return !same;
}

static bool
use_psk(struct tls_context *c, const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	const char *wanted = config->server ? NULL : config->identity;
	struct psk_error wrong;
	struct psk psk;
	bool found;

	if (!load(config->psk, &c->psk, error))
		return false;
	if (!psk_check(c->psk.text, c->psk.len, &wrong))
		return refuse(error, "%s:%u: %s", config->psk, wrong.line, wrong.why);
	warn_mode(c, config->psk, c->psk.mode);
	found = psk_find(c->psk.text, c->psk.len, wanted, wanted != NULL ? strlen(wanted) : 0,
			 &psk);
	secret_wipe(psk.key, sizeof(psk.key));
	if (!found)
		return refuse(error, "%s: the file has no identity \"%s\"", config->psk, wanted);
	c->psk_path = OPENSSL_strdup(config->psk);
	c->identity = OPENSSL_strdup(psk.identity);
	if (c->psk_path == NULL || c->identity == NULL)
		return refuse(error, "no memory");
	if (c->server)
		SSL_CTX_set_psk_server_callback(c->ctx, on_psk_offered);
	else
		SSL_CTX_set_psk_client_callback(c->ctx, on_psk_needed);
	return true;
}

/* ---- certificates ---- */

/* Of our own certificates the first is ours, and the others lead from it to a root. */
static bool
use_one(struct tls_context *c, X509 *cert, bool roots, bool first)
{
	if (roots)
		return X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), cert) == 1 &&
		       (!c->server || SSL_CTX_add_client_CA(c->ctx, cert) == 1);
	return first ? SSL_CTX_use_certificate(c->ctx, cert) == 1
		     : SSL_CTX_add1_chain_cert(c->ctx, cert) == 1;
}

static bool
use_certs(struct tls_context *c, const char *path, bool roots, char error[static TLS_ERROR_MAX])
{
	struct file_text file;
	bool good, any = false;
	X509 *cert;
	BIO *bio;

	if (!load(path, &file, error))
		return false;
	bio = BIO_new_mem_buf(file.text, (int)file.len);
	good = bio != NULL;
	while (good && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		good = use_one(c, cert, roots, !any);
		any = true;
		X509_free(cert);
	}
	BIO_free(bio);
	file_finish(&file);
	/* After the last one the reader finds no other; any other error is one. */
	if (!good || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return refuse(error, "%s: %s", path, reason());
	ERR_clear_error();
	return any || refuse(error, "%s: the file has no certificate (PEM)", path);
}

/* A daemon cannot ask for the password of a key. */
static int
no_password(char *ret, int cap, int writing, void *arg)
{
	(void)ret, (void)cap, (void)writing, (void)arg;
	return -1;
}

static bool
use_key(struct tls_context *c, const char *path, char error[static TLS_ERROR_MAX])
{
	struct file_text file;
	EVP_PKEY *key = NULL;
	BIO *bio;
	bool used;

	if (!load(path, &file, error))
		return false;
	warn_mode(c, path, file.mode);
	bio = BIO_new_mem_buf(file.text, (int)file.len);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	file_finish(&file);
	if (key == NULL)
		return refuse(error, "%s: the file has no private key (PEM, without a password)",
			      path);
	warn_rsa(c, path, key);
	used = SSL_CTX_use_PrivateKey(c->ctx, key) == 1;
	EVP_PKEY_free(key);
	return used || refuse(error, "%s: %s", path, reason());
}

static bool
use_cert(struct tls_context *c, const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	const char *key = config->key != NULL ? config->key : config->cert;

	return use_certs(c, config->cert, false, error) && use_key(c, key, error) &&
	       (SSL_CTX_check_private_key(c->ctx) == 1 ||
		refuse(error, "%s: is not the key of the certificate in %s", key, config->cert));
}

static bool
use_ca(struct tls_context *c, const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	if (!use_certs(c, config->ca, true, error))
		return false;
	c->ca_path = OPENSSL_strdup(config->ca);
	c->peer_name = c->server ? NULL : OPENSSL_strdup(config->peer_name);
	return (c->ca_path != NULL && (c->server || c->peer_name != NULL)) ||
	       refuse(error, "no memory");
}

/* ---- all of it ---- */

/* NULL, or why these files do not let the peers authenticate each other. */
static const char *
fault_of(const struct tls_config *config)
{
	if (config->key != NULL && config->cert == NULL)
		return "key needs its certificate: cert";
	if (!config->server)
		return config->psk == NULL && config->ca == NULL
			       ? "psk or ca is needed, to authenticate the server"
			       : NULL;
	if (config->psk == NULL && config->cert == NULL)
		return "psk, or cert and key, is needed";
	if (config->ca != NULL && config->cert == NULL)
		return "ca, for clients' certificates, needs our own: cert";
	/* The certificate that we show would admit each client that shows none. */
	if (config->psk != NULL && config->cert != NULL && config->ca == NULL)
		return "cert with psk needs ca: otherwise clients without a key would be accepted";
	return NULL;
}

/* Sets what all connections have in common. */
static bool
restrict_to_tls_1_3(struct tls_context *c)
{
	/* OpenSSL needs one in a server that asks for certificates, even without sessions. */
	static const unsigned char session_name[] = "ekey-random";

	SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					    SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(c->ctx, TLS_SUITES) == 1 &&
	       SSL_CTX_set_num_tickets(c->ctx, 0) == 1 &&
	       (!c->server ||
		SSL_CTX_set_session_id_context(c->ctx, session_name, sizeof(session_name)) == 1);
}

static bool
set_up(struct tls_context *c, const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	c->ctx = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());
	if (c->ctx == NULL || !restrict_to_tls_1_3(c))
		return refuse(error, "TLS 1.3: %s", reason());
	/* A client always authenticates the server; without `ca` no certificate is good enough. */
	if (!c->server || config->ca != NULL)
		SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return (config->psk == NULL || use_psk(c, config, error)) &&
	       (config->cert == NULL || use_cert(c, config, error)) &&
	       (config->ca == NULL || use_ca(c, config, error));
}

struct tls_context *
tls_context_new(const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	const char *fault = fault_of(config);
	struct tls_context *c = fault == NULL ? OPENSSL_zalloc(sizeof(*c)) : NULL;

	ERR_clear_error();
	if (c == NULL) {
		(void)refuse(error, "%s", fault != NULL ? fault : "no memory");
		return NULL;
	}
	c->users = 1;
	c->server = config->server;
	if (!set_up(c, config, error))
		tls_context_free(&c);
	return c;
}

void
tls_context_free(struct tls_context **context)
{
	struct tls_context *c = *context;

	*context = NULL;
	if (c == NULL || --c->users > 0)
		return;
	SSL_CTX_free(c->ctx);
	file_finish(&c->psk);
	OPENSSL_free(c->psk_path);
	OPENSSL_free(c->ca_path);
	OPENSSL_free(c->identity);
	OPENSSL_free(c->peer_name);
	OPENSSL_free(c);
}

const char *
tls_context_warning(const struct tls_context *c)
{
	return c->warning[0] != '\0' ? c->warning : NULL;
}

/* ---- randomness ---- */

/* The generators of the handshakes are seeded from this one before they give more. */
void
tls_reseed(void)
{
	(void)RAND_poll();
}
