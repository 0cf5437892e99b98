/* SPDX-License-Identifier: MIT */
/* Who gets in, who does not, and what is said about it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "tests/unit/pki.h"
#include "tests/unit/tls_rig.h"

/* ---- what tests say ---- */

static void
assert_says(const struct tls_end *end, int result, const char *words)
{
	const char *text = tls_error_text(end->tls);

	if (end->result != result || strstr(text, words) == NULL)
		fail_msg("result %d, \"%s\"; expected %d, \"%s\"", end->result, text, result,
			 words);
}

static void
assert_joined(const struct tls_rig *rig, const char *client, const char *server)
{
	if (rig->server.result != 0 || rig->client.result != 0)
		fail_msg("server: %s; client: %s", tls_error_text(rig->server.tls),
			 tls_error_text(rig->client.tls));
	assert_string_equal(tls_peer(rig->server.tls), client);
	assert_string_equal(tls_peer(rig->client.tls), server);
}

static void
assert_refuses(const struct tls_config *config, const char *words)
{
	char error[TLS_ERROR_MAX] = "";
	struct tls_context *context = tls_context_new(config, error);

	assert_null(context);
	if (strstr(error, words) == NULL)
		fail_msg("\"%s\"; expected \"%s\"", error, words);
}

static struct tls_config
psk_server(void)
{
	return (struct tls_config){
		.server = true,
		.psk = tls_rig_write("server.psk", "# guests\n\nalice:" TLS_RIG_KEY
						   "\nbob:" TLS_RIG_OTHER_KEY "\n"),
	};
}

static struct tls_config
psk_client(const char *identity, const char *key)
{
	char text[512];

	snprintf(text, sizeof(text), "%s:%s", identity, key);
	return (struct tls_config){.psk = tls_rig_write("client.psk", text)};
}

/* ---- pre-shared keys ---- */

static void
a_shared_key_lets_each_know_the_other(void **unused)
{
	const struct tls_config server = psk_server();
	struct tls_config client = psk_client("alice", TLS_RIG_KEY);
	struct tls_rig rig;

	(void)unused;
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "psk:alice", "psk:alice");
	tls_rig_close(&rig);
	client.psk = server.psk;
	client.identity = "bob";
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "psk:bob", "psk:bob");
	tls_rig_close(&rig);
}

static void
a_wrong_key_is_refused_and_both_say_which(void **unused)
{
	const struct tls_config server = psk_server();
	const struct tls_config client = psk_client("alice", TLS_RIG_OTHER_KEY);
	struct tls_rig rig;

	(void)unused;
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.server, -EPROTO, "its key is not that of identity \"alice\" in ");
	assert_says(&rig.server, -EPROTO, server.psk);
	assert_says(&rig.client, -EPROTO, "does it have identity \"alice\" with the key of ");
	assert_says(&rig.client, -EPROTO, client.psk);
	assert_string_equal(tls_peer(rig.server.tls), "");
	assert_string_equal(tls_peer(rig.client.tls), "");
	tls_rig_close(&rig);
}

static void
an_unknown_identity_is_refused_and_named(void **unused)
{
	const struct tls_config server = psk_server();
	const struct tls_config client = psk_client("mallory", TLS_RIG_KEY);
	struct tls_rig rig;

	(void)unused;
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.server, -EPROTO, "its identity \"mallory\" is not in ");
	assert_says(&rig.client, -EPROTO, "does it have identity \"mallory\" with the key of ");
	tls_rig_close(&rig);
}

static void
key_files_are_checked_by_line(void **unused)
{
	struct tls_config config = {.server = true};
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", ":1: the file has no key"},
		{"# nothing\n", ":1: the file has no key"},
		{"alice:" TLS_RIG_KEY "\nbob\n", ":2: expected identity:hexkey"},
		{"\n:" TLS_RIG_KEY, ":2: the identity must have 1 to 128 characters"},
		{"al ice:" TLS_RIG_KEY, ":1: the identity must be printable ASCII"},
		{"alice:00112233445566778899aabbccddee", ":1: the key is too short"},
		{"alice:" TLS_RIG_KEY "0", ":1: the key has an odd number of digits"},
		{"alice:" TLS_RIG_KEY "0g", ":1: the key is not hexadecimal"},
		{"alice:" TLS_RIG_KEY "\r\n", ":1: the key has an odd number of digits"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.psk = tls_rig_write("bad.psk", bad[i].text);
		assert_refuses(&config, bad[i].says);
		assert_refuses(&config, config.psk);
	}
	config.psk = tls_rig_path("absent.psk");
	assert_refuses(&config, "absent.psk: No such file or directory");
	config = psk_client("alice", TLS_RIG_KEY);
	config.identity = "bob";
	assert_refuses(&config, "client.psk: the file has no identity \"bob\"");
}

static void
a_key_that_others_may_read_is_warned_of(void **unused)
{
	static const struct {
		mode_t mode;
		bool bad;
	} modes[] = {{0600, false}, {0640, false}, {0400, false},
		     {0644, true},  {0660, true},  {0602, true}};
	const struct tls_config config = psk_server();
	char error[TLS_ERROR_MAX];

	(void)unused;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct tls_context *context;

		chmod(config.psk, modes[i].mode);
		context = tls_context_new(&config, error);
		assert_non_null(context);
		assert_true((tls_context_warning(context) != NULL) == modes[i].bad);
		if (modes[i].bad)
			assert_non_null(strstr(tls_context_warning(context), config.psk));
		tls_context_free(&context);
		assert_null(context);
	}
}

/* ---- certificates ---- */

static struct pki root, stranger_root;

static void
issue(const char *file, const struct pki_wish *wish, const struct pki *issuer)
{
	char name[64];
	struct pki pki = pki_make(wish, issuer);

	snprintf(name, sizeof(name), "%s.crt", file);
	pki_write_cert(&pki, tls_rig_path(name));
	snprintf(name, sizeof(name), "%s.key", file);
	pki_write_key(&pki, tls_rig_path(name));
	pki_free(&pki);
}

static int
make_certificates(void **unused)
{
	if (tls_rig_begin(unused) != 0)
		return -1;
	root = pki_make(&(struct pki_wish){"Our root", NULL, 100}, NULL);
	stranger_root = pki_make(&(struct pki_wish){"Their root", NULL, 100}, NULL);
	pki_write_cert(&root, tls_rig_path("root.crt"));
	pki_write_cert(&stranger_root, tls_rig_path("stranger-root.crt"));
	issue("host", &(struct pki_wish){"host", "DNS:egd.example,IP:192.0.2.1", 10}, &root);
	issue("old", &(struct pki_wish){"host", "DNS:egd.example", -1}, &root);
	issue("guest", &(struct pki_wish){"guest 7", NULL, 10}, &root);
	issue("dns", &(struct pki_wish){NULL, "DNS:a.example,DNS:b.example", 10}, &root);
	issue("stranger", &(struct pki_wish){"guest 7", NULL, 10}, &stranger_root);
	return 0;
}

static int
free_certificates(void **unused)
{
	pki_free(&root);
	pki_free(&stranger_root);
	return tls_rig_end(unused);
}

static struct tls_config
cert_server(void)
{
	return (struct tls_config){.server = true,
				   .cert = tls_rig_path("host.crt"),
				   .key = tls_rig_path("host.key"),
				   .ca = tls_rig_path("root.crt")};
}

static struct tls_config
cert_client(void)
{
	return (struct tls_config){.cert = tls_rig_path("guest.crt"),
				   .key = tls_rig_path("guest.key"),
				   .ca = tls_rig_path("root.crt"),
				   .peer_name = "egd.example"};
}

static void
certificates_let_each_know_the_other(void **unused)
{
	const struct tls_config server = cert_server();
	struct tls_config client = cert_client();
	struct tls_rig rig;

	(void)unused;
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "cert:guest?7", "cert:host");
	tls_rig_close(&rig);
	client.peer_name = "192.0.2.1";
	client.cert = tls_rig_path("dns.crt");
	client.key = tls_rig_path("dns.key");
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "cert:a.example", "cert:host");
	tls_rig_close(&rig);
}

static void
who_need_not_prove_anything_is_nobody(void **unused)
{
	struct tls_config server = cert_server(), client = cert_client();
	struct tls_rig rig;

	(void)unused;
	server.ca = NULL;
	client.cert = client.key = NULL;
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "", "cert:host");
	tls_rig_close(&rig);
}

static void
a_client_without_certificate_is_refused(void **unused)
{
	const struct tls_config server = cert_server();
	struct tls_config client = cert_client();
	struct tls_rig rig;

	(void)unused;
	client.cert = client.key = NULL;
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.server, -EPROTO, "it sent neither a pre-shared key nor a certificate");
	assert_says(&rig.client, -EPROTO, "it refused the connection: ");
	assert_string_equal(tls_peer(rig.server.tls), "");
	tls_rig_close(&rig);
}

static void
a_strangers_certificate_is_refused_on_either_side(void **unused)
{
	const struct tls_config server = cert_server();
	struct tls_config client = cert_client();
	struct tls_rig rig;

	(void)unused;
	client.cert = tls_rig_path("stranger.crt");
	client.key = tls_rig_path("stranger.key");
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.server, -EPROTO, server.ca);
	assert_says(&rig.server, -EPROTO, "unable to get local issuer certificate");
	assert_says(&rig.client, -EPROTO, "it refused the connection: unknown CA");
	tls_rig_close(&rig);
	client = cert_client();
	client.ca = tls_rig_path("stranger-root.crt");
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.client, -EPROTO, client.ca);
	assert_says(&rig.client, -EPROTO, "unable to get local issuer certificate");
	tls_rig_close(&rig);
}

static void
an_expired_certificate_is_refused(void **unused)
{
	struct tls_config server = cert_server();
	const struct tls_config client = cert_client();
	struct tls_rig rig;

	(void)unused;
	server.cert = tls_rig_path("old.crt");
	server.key = tls_rig_path("old.key");
	tls_rig_connect(&rig, &server, &client);
	assert_says(&rig.client, -EPROTO, "certificate has expired");
	assert_says(&rig.server, -EPROTO, "it refused the connection: certificate expired");
	tls_rig_close(&rig);
}

static void
a_server_of_another_name_is_refused(void **unused)
{
	static const char *const names[] = {"other.example", "192.0.2.2", "2001:db8::1"};
	const struct tls_config server = cert_server();
	struct tls_config client = cert_client();
	struct tls_rig rig;

	(void)unused;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		client.peer_name = names[i];
		tls_rig_connect(&rig, &server, &client);
		assert_says(&rig.client, -EPROTO, "its certificate is not for ");
		assert_says(&rig.client, -EPROTO, names[i]);
		tls_rig_close(&rig);
	}
}

static void
a_server_may_know_clients_by_key_or_by_certificate(void **unused)
{
	struct tls_config server = cert_server(), client = cert_client();
	const struct tls_config with_key = psk_client("bob", TLS_RIG_OTHER_KEY);
	const struct tls_config unknown = psk_client("mallory", TLS_RIG_KEY);
	struct tls_rig rig;

	(void)unused;
	server.psk = psk_server().psk;
	tls_rig_connect(&rig, &server, &client);
	assert_joined(&rig, "cert:guest?7", "cert:host");
	tls_rig_close(&rig);
	tls_rig_write("client.psk", "bob:" TLS_RIG_OTHER_KEY);
	tls_rig_connect(&rig, &server, &with_key);
	assert_joined(&rig, "psk:bob", "psk:bob");
	tls_rig_close(&rig);
	tls_rig_write("client.psk", "mallory:" TLS_RIG_KEY);
	tls_rig_connect(&rig, &server, &unknown);
	assert_says(&rig.client, -EPROTO, "it does not have identity \"mallory\" of ");
	assert_says(&rig.server, -EPROTO, "its identity \"mallory\" is not in ");
	tls_rig_close(&rig);
}

static void
certificate_files_are_checked_against_each_other(void **unused)
{
	struct tls_config config = cert_server();

	(void)unused;
	config.key = tls_rig_path("guest.key");
	assert_refuses(&config, "guest.key: ");
	config = cert_server();
	config.cert = config.key;
	assert_refuses(&config, "host.key: the file has no certificate (PEM)");
	config = cert_server();
	config.key = NULL;
	assert_refuses(&config, "host.crt: the file has no private key (PEM, without a password)");
	config = cert_server();
	config.ca = tls_rig_write("cut.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	assert_refuses(&config, "cut.crt: ");
	config = cert_server();
	config.ca = "/";
	assert_refuses(&config, "/: not a regular file");
}

static void
a_configuration_that_proves_nothing_is_refused(void **unused)
{
	struct tls_config config = {0};

	(void)unused;
	assert_refuses(&config, "psk or ca is needed");
	config.server = true;
	assert_refuses(&config, "psk, or cert and key, is needed");
	config.key = tls_rig_path("host.key");
	assert_refuses(&config, "needs its certificate");
	config = psk_server();
	config.ca = tls_rig_path("root.crt");
	assert_refuses(&config, "needs our own: cert");
	config = cert_server();
	config.ca = NULL;
	config.psk = psk_server().psk;
	assert_refuses(&config, "cert with psk needs ca");
}

/* ---- nothing older ---- */

/* An ordinary client of OpenSSL's, up to `version`. */
static void
other_client_connects(int fd, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	ssl = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	assert_true(SSL_connect(ssl) < 0); /* its hello is sent; there is no answer yet */
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void
server_meets(struct tls_rig *rig, const struct tls_config *config)
{
	char error[TLS_ERROR_MAX];
	struct tls_context *context = tls_context_new(config, error);
	int fds[2];

	assert_non_null(context);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	rig->server = (struct tls_end){.tls = tls_new(context, fds[0]), .fd = fds[0]};
	rig->client = (struct tls_end){.fd = fds[1]};
	tls_context_free(&context);
}

static void
tls_1_2_is_refused(void **unused)
{
	const struct tls_config config = cert_server();
	struct tls_rig rig;

	(void)unused;
	server_meets(&rig, &config);
	other_client_connects(rig.client.fd, TLS1_2_VERSION);
	rig.server.result = tls_handshake(rig.server.tls);
	assert_says(&rig.server, -EPROTO, "it does not speak TLS 1.3");
	tls_rig_close(&rig);
}

static void
what_is_no_tls_is_refused_and_told_so(void **unused)
{
	static const struct {
		const char *bytes, *says;
	} others[] = {
		{"GET / HTTP/1.1\r\n\r\n", "it does not speak TLS but HTTP"},
		{"\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40\x02\x40", "it does not speak TLS"},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "it does not speak TLS"},
	};
	const struct tls_config config = psk_server();
	struct tls_rig rig;

	(void)unused;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		server_meets(&rig, &config);
		assert_true(write(rig.client.fd, others[i].bytes, strlen(others[i].bytes)) > 0);
		rig.server.result = tls_handshake(rig.server.tls);
		assert_says(&rig.server, -EPROTO, others[i].says);
		tls_rig_close(&rig);
	}
}

static void
a_client_without_a_key_is_refused(void **unused)
{
	const struct tls_config config = psk_server();
	struct tls_rig rig;

	(void)unused;
	server_meets(&rig, &config);
	other_client_connects(rig.client.fd, TLS1_3_VERSION);
	rig.server.result = tls_handshake(rig.server.tls);
	assert_says(&rig.server, -EPROTO, "it offered no pre-shared key that is known here");
	tls_rig_close(&rig);
}

static void
a_peer_that_goes_in_the_handshake_is_told_as_gone(void **unused)
{
	const struct tls_config config = psk_server();
	struct tls_rig rig;

	(void)unused;
	server_meets(&rig, &config);
	assert_int_equal(tls_handshake(rig.server.tls), TLS_WANT_READ);
	shutdown(rig.client.fd, SHUT_RDWR);
	rig.server.result = tls_handshake(rig.server.tls);
	assert_says(&rig.server, -ECONNRESET, "cut off");
	tls_rig_close(&rig);
}

/* ---- a clone ---- */

/* What OpenSSL draws its handshakes' secrets from was seeded so many times. */
static unsigned
seedings(EVP_RAND_CTX *generator)
{
	unsigned times = 0;
	OSSL_PARAM ask[] = {
		OSSL_PARAM_construct_uint(OSSL_DRBG_PARAM_RESEED_COUNTER, &times),
		OSSL_PARAM_construct_end(),
	};

	assert_int_equal(EVP_RAND_CTX_get_params(generator, ask), 1);
	return times;
}

static void
clone_draws_from_fresh_seeds(void **unused)
{
	EVP_RAND_CTX *public = RAND_get0_public(NULL), *private = RAND_get0_private(NULL);
	unsigned public_before, private_before;
	uint8_t drawn[32];

	(void)unused;
	assert_int_equal(RAND_bytes(drawn, sizeof(drawn)), 1);
	assert_int_equal(RAND_priv_bytes(drawn, sizeof(drawn)), 1);
	public_before = seedings(public);
	private_before = seedings(private);
	tls_reseed();
	assert_int_equal(RAND_bytes(drawn, sizeof(drawn)), 1);
	assert_int_equal(RAND_priv_bytes(drawn, sizeof(drawn)), 1);
	assert_true(seedings(public) > public_before);
	assert_true(seedings(private) > private_before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_key_lets_each_know_the_other),
		cmocka_unit_test(a_wrong_key_is_refused_and_both_say_which),
		cmocka_unit_test(an_unknown_identity_is_refused_and_named),
		cmocka_unit_test(key_files_are_checked_by_line),
		cmocka_unit_test(a_key_that_others_may_read_is_warned_of),
		cmocka_unit_test(certificates_let_each_know_the_other),
		cmocka_unit_test(who_need_not_prove_anything_is_nobody),
		cmocka_unit_test(a_client_without_certificate_is_refused),
		cmocka_unit_test(a_strangers_certificate_is_refused_on_either_side),
		cmocka_unit_test(an_expired_certificate_is_refused),
		cmocka_unit_test(a_server_of_another_name_is_refused),
		cmocka_unit_test(a_server_may_know_clients_by_key_or_by_certificate),
		cmocka_unit_test(certificate_files_are_checked_against_each_other),
		cmocka_unit_test(a_configuration_that_proves_nothing_is_refused),
		cmocka_unit_test(tls_1_2_is_refused),
		cmocka_unit_test(what_is_no_tls_is_refused_and_told_so),
		cmocka_unit_test(a_client_without_a_key_is_refused),
		cmocka_unit_test(a_peer_that_goes_in_the_handshake_is_told_as_gone),
		cmocka_unit_test(clone_draws_from_fresh_seeds),
	};

	return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
