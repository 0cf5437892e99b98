/* SPDX-License-Identifier: MIT */
/* From the files of a configuration to what its connections share. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/tls_inside.h"

#define TLS_FILE_MAX ((size_t)1 << 20)
/* Permission bits that a file with a key must not have; its group may read it, that is us. */
#define TLS_MODE_BAD 0037
#define TLS_RSA_MAX 2048 /* bits; a larger key takes a server milliseconds for each handshake */

/*
 * One list, with or without PSK: a key has no hash of its own, so that SHA-256 is meant (RFC 8446
 * 4.2.11), and the suite must have the same.
 */
#define TLS_SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

#ifndef SSL_OP_CLEANSE_PLAINTEXT /* OpenSSL 1.1: wiped when the buffer is freed, which is soon */
#define SSL_OP_CLEANSE_PLAINTEXT 0
#endif

struct tls_problem {
	char *text;
	size_t cap;
};

/* False, for the caller to return. */
static bool __attribute__((format(printf, 2, 3)))
tls_refuse(const struct tls_problem *problem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem->text, problem->cap, format, args);
	va_end(args);
	ERR_clear_error();
	return false;
}

static const char *
tls_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "OpenSSL gives no reason";
}

/* ---- files ---- */

static bool
tls_load(const char *path, struct file_text *ret, const struct tls_problem *problem)
{
	int result = file_read(path, TLS_FILE_MAX, ret);

	if (result < 0)
		return tls_refuse(problem, "%s: %s", path, file_error_text(-result));
	return true;
}

static void
tls_warn_mode(struct tls_context *c, const char *path, mode_t mode)
{
	if ((mode & TLS_MODE_BAD) != 0 && c->warning[0] == '\0')
		snprintf(c->warning, sizeof(c->warning),
			 "%s: mode %04o lets others read or change the key: chmod 0600 it, or 0640"
			 " for our group",
			 path, (unsigned)mode);
}

static void
tls_warn_rsa(struct tls_context *c, const char *path, const EVP_PKEY *key)
{
	int bits = EVP_PKEY_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_bits(key) : 0;

	if (c->server && bits > TLS_RSA_MAX && c->warning[0] == '\0')
		snprintf(c->warning, sizeof(c->warning),
			 "%s: RSA with %d bits makes each handshake slow: prefer Ed25519 or P-256",
			 path, bits);
}

static bool
tls_use_psk(struct tls_context *c, const struct tls_config *config,
	    const struct tls_problem *problem)
{
	const char *wanted = config->server ? NULL : config->identity;
	struct psk_error error;
	struct psk psk;
	bool found;

	if (!tls_load(config->psk, &c->psk, problem))
		return false;
	if (!psk_check(c->psk.text, c->psk.len, &error))
		return tls_refuse(problem, "%s:%u: %s", config->psk, error.line, error.why);
	tls_warn_mode(c, config->psk, c->psk.mode);
	found = psk_find(c->psk.text, c->psk.len, wanted, wanted != NULL ? strlen(wanted) : 0,
			 &psk);
	secret_wipe(psk.key, sizeof(psk.key));
	if (!found)
		return tls_refuse(problem, "%s: identity \"%s\" is not in it", config->psk, wanted);
	c->psk_path = OPENSSL_strdup(config->psk);
	c->identity = OPENSSL_strdup(psk.identity);
	if (c->psk_path == NULL || c->identity == NULL)
		return tls_refuse(problem, "no memory");
	tls_psk_set_up(c);
	return true;
}

/* Gives each certificate of a file to `use`, with its number; how many, or -1. */
static int
tls_each_cert(const struct file_text *file, bool (*use)(struct tls_context *c, X509 *cert, int i),
	      struct tls_context *c)
{
	BIO *bio = BIO_new_mem_buf(file->text, (int)file->len);
	bool good = bio != NULL;
	X509 *cert;
	int count = 0;

	while (good && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		good = use(c, cert, count++);
		X509_free(cert);
	}
	BIO_free(bio);
	/* The reader's last word is that there is no more of them; anything else is an error. */
	if (good && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -1;
	if (good)
		ERR_clear_error();
	return good ? count : -1;
}

/* The first is ours, the others lead from it to a root. */
static bool
tls_use_chain_cert(struct tls_context *c, X509 *cert, int i)
{
	if (i == 0)
		return SSL_CTX_use_certificate(c->ctx, cert) == 1;
	return SSL_CTX_add1_chain_cert(c->ctx, cert) == 1;
}

static bool
tls_use_root(struct tls_context *c, X509 *cert, int i)
{
	(void)i;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), cert) == 1 &&
	       (!c->server || SSL_CTX_add_client_CA(c->ctx, cert) == 1);
}

static bool
tls_use_certs(struct tls_context *c, const char *path,
	      bool (*use)(struct tls_context *c, X509 *cert, int i),
	      const struct tls_problem *problem)
{
	struct file_text file;
	int count;

	if (!tls_load(path, &file, problem))
		return false;
	count = tls_each_cert(&file, use, c);
	file_finish(&file);
	if (count < 0)
		return tls_refuse(problem, "%s: %s", path, tls_reason());
	if (count == 0)
		return tls_refuse(problem, "%s: no certificate (PEM) is in it", path);
	return true;
}

/* A daemon has nobody to ask for the password of a key. */
static int
tls_no_password(char *ret, int cap, int writing, void *arg)
{
	(void)ret, (void)cap, (void)writing, (void)arg;
	return -1;
}

static bool
tls_use_key(struct tls_context *c, const char *path, const struct tls_problem *problem)
{
	struct file_text file;
	EVP_PKEY *key = NULL;
	BIO *bio;
	bool used;

	if (!tls_load(path, &file, problem))
		return false;
	tls_warn_mode(c, path, file.mode);
	bio = BIO_new_mem_buf(file.text, (int)file.len);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_password, NULL);
	BIO_free(bio);
	file_finish(&file);
	if (key == NULL)
		return tls_refuse(problem, "%s: no private key (PEM, without a password) is in it",
				  path);
	tls_warn_rsa(c, path, key);
	used = SSL_CTX_use_PrivateKey(c->ctx, key) == 1;
	EVP_PKEY_free(key);
	if (!used)
		return tls_refuse(problem, "%s: %s", path, tls_reason());
	return true;
}

static bool
tls_use_cert(struct tls_context *c, const struct tls_config *config,
	     const struct tls_problem *problem)
{
	const char *key = config->key != NULL ? config->key : config->cert;

	if (!tls_use_certs(c, config->cert, tls_use_chain_cert, problem) ||
	    !tls_use_key(c, key, problem))
		return false;
	if (SSL_CTX_check_private_key(c->ctx) != 1)
		return tls_refuse(problem, "%s: is not the key of the certificate in %s", key,
				  config->cert);
	return true;
}

static bool
tls_use_ca(struct tls_context *c, const struct tls_config *config,
	   const struct tls_problem *problem)
{
	if (!tls_use_certs(c, config->ca, tls_use_root, problem))
		return false;
	c->ca_path = OPENSSL_strdup(config->ca);
	if (!c->server)
		c->peer_name = OPENSSL_strdup(config->peer_name);
	if (c->ca_path == NULL || (!c->server && c->peer_name == NULL))
		return tls_refuse(problem, "no memory");
	return true;
}

/* ---- all of it ---- */

static bool
tls_check_config(const struct tls_config *config, const struct tls_problem *problem)
{
	if (config->key != NULL && config->cert == NULL)
		return tls_refuse(problem, "a key (%s) needs its certificate: cert", config->key);
	if (!config->server && config->psk == NULL && config->ca == NULL)
		return tls_refuse(problem, "psk or ca is needed, to know the server by");
	if (!config->server && config->ca != NULL && config->peer_name == NULL)
		return tls_refuse(problem, "ca needs the server's name");
	if (config->server && config->psk == NULL && config->cert == NULL)
		return tls_refuse(problem, "psk, or cert and key, is needed");
	if (config->server && config->ca != NULL && config->cert == NULL)
		return tls_refuse(problem, "ca, for clients' certificates, needs our own: cert");
	/* Else whoever shows no key would be let in by the certificate that we show. */
	if (config->server && config->psk != NULL && config->cert != NULL && config->ca == NULL)
		return tls_refuse(problem, "cert beside psk needs ca: else clients without any key"
					   " would be let in");
	return true;
}

/* What every connection of ours has in common. */
static bool
tls_restrict(struct tls_context *c, const struct tls_problem *problem)
{
	/* A server of OpenSSL's that asks for certificates wants one, even without sessions. */
	static const unsigned char session_name[] = "ekey-random";

	SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					    SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(c->ctx, TLS_SUITES) != 1 ||
	    SSL_CTX_set_num_tickets(c->ctx, 0) != 1 ||
	    (c->server &&
	     SSL_CTX_set_session_id_context(c->ctx, session_name, sizeof(session_name)) != 1))
		return tls_refuse(problem, "TLS 1.3: %s", tls_reason());
	return true;
}

static bool
tls_set_up(struct tls_context *c, const struct tls_config *config,
	   const struct tls_problem *problem)
{
	c->server = config->server;
	c->ctx = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());
	if (c->ctx == NULL)
		return tls_refuse(problem, "%s", tls_reason());
	/* A client always asks who the server is; without `ca` no certificate is good enough. */
	if (!c->server || config->ca != NULL)
		SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return tls_restrict(c, problem) &&
	       (config->psk == NULL || tls_use_psk(c, config, problem)) &&
	       (config->cert == NULL || tls_use_cert(c, config, problem)) &&
	       (config->ca == NULL || tls_use_ca(c, config, problem));
}

struct tls_context *
tls_context_new(const struct tls_config *config, char *error, size_t cap)
{
	const struct tls_problem problem = {error, cap};
	struct tls_context *c = NULL;

	ERR_clear_error();
	if (!tls_check_config(config, &problem))
		return NULL;
	c = OPENSSL_zalloc(sizeof(*c));
	if (c == NULL) {
		tls_refuse(&problem, "no memory");
		return NULL;
	}
	c->users = 1;
	if (!tls_set_up(c, config, &problem))
		tls_context_drop(&c);
	return c;
}

void
tls_context_drop(struct tls_context **context)
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

void
tls_context_free(struct tls_context **context)
{
	tls_context_drop(context);
}

const char *
tls_context_warning(const struct tls_context *c)
{
	return c->warning[0] != '\0' ? c->warning : NULL;
}

/* ---- randomness ---- */

/* The generators that handshakes draw from follow the one that this seeds before they give more. */
void
tls_reseed(void)
{
	(void)RAND_poll();
}
