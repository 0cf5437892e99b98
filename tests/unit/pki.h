/* SPDX-License-Identifier: MIT */
/* Certificates for tests, made while they run. Everything asserts. */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

#include <openssl/x509.h>

/* Of both parts: the certificate, and the key that signs with it. */
struct pki {
	X509 *cert;
	EVP_PKEY *key;
};

struct pki_wish {
	const char *name;      /* common name; NULL: the subject is empty */
	const char *alt_names; /* as in openssl.cnf: "DNS:a.example,IP:192.0.2.1"; NULL: none */
	int days;              /* until it expires; negative: it has */
};

/* `issuer` NULL: a root of its own. */
struct pki pki_make(const struct pki_wish *wish, const struct pki *issuer);
void pki_free(struct pki *pki);

/* Writes PEM; the key is mode 0600. */
void pki_write_cert(const struct pki *pki, const char *path);
void pki_write_key(const struct pki *pki, const char *path);

#endif
