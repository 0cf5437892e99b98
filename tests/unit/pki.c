/* SPDX-License-Identifier: MIT */
#include "tests/unit/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void
pki_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void
pki_date(X509 *cert, int days)
{
	const long day = 24 * 60 * 60;

	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -1000 * day));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), days * day));
}

static void
pki_name(X509 *cert, const struct pki_wish *wish, const X509 *issuer)
{
	X509_NAME *name = X509_get_subject_name(cert);

	if (wish->name != NULL)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
							    (const unsigned char *)wish->name, -1,
							    -1, 0),
				 1);
	assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(issuer)), 1);
}

struct pki
pki_make(const struct pki_wish *wish, const struct pki *issuer)
{
	static long serial;
	struct pki pki = {X509_new(), EVP_EC_gen("P-256")};
	const struct pki *by = issuer != NULL ? issuer : &pki;

	assert_non_null(pki.cert);
	assert_non_null(pki.key);
	X509_set_version(pki.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(pki.cert), ++serial);
	pki_date(pki.cert, wish->days);
	pki_name(pki.cert, wish, by->cert);
	assert_int_equal(X509_set_pubkey(pki.cert, pki.key), 1);
	pki_extend(pki.cert, by->cert, NID_basic_constraints,
		   issuer == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (wish->alt_names != NULL)
		pki_extend(pki.cert, by->cert, NID_subject_alt_name, wish->alt_names);
	assert_true(X509_sign(pki.cert, by->key, EVP_sha256()) > 0);
	return pki;
}

void
pki_free(struct pki *pki)
{
	X509_free(pki->cert);
	EVP_PKEY_free(pki->key);
	*pki = (struct pki){0};
}

void
pki_write_cert(const struct pki *pki, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, pki->cert), 1);
	assert_int_equal(fclose(file), 0);
}

void
pki_write_key(const struct pki *pki, const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, pki->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}
