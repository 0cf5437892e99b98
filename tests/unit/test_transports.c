/* SPDX-License-Identifier: MIT */
/* Transports that open in the background, against listeners in the same loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/transport/net_transport.h"
#include "lib/net.h"
#include "lib/priv/resolver.h"
#include "lib/priv/tls_channel.h"
#include "tests/unit/tls_rig.h"

#define PATIENCE_S 20 /* of a test for what must come; it comes at once */
#define BIG_LEN 400000

/* ---- a server that echoes, and what the source has seen ---- */

struct server {
	int listener, fd;
	struct event *on_listener, *on_fd;
	struct tls_context *context; /* NULL: without TLS */
	struct tls *tls;
	bool joined;
	bool mute; /* it accepts, and says nothing */
};

struct world {
	struct event_base *base;
	struct server server;
	struct transport *transport;
	int tls; /* channel to ekey-tls; -1: it is not there */
	char where[128];
	unsigned opened, gone;
	int error;
	char why[256];
	uint8_t got[64];
	size_t got_len, total;
	size_t take_max; /* of each offer */
};

static size_t
on_bytes(void *arg, const uint8_t *bytes, size_t len)
{
	struct world *w = arg;
	size_t take = len < w->take_max ? len : w->take_max;

	if (w->got_len + take <= sizeof(w->got)) {
		memcpy(w->got + w->got_len, bytes, take);
		w->got_len += take;
	}
	w->total += take;
	if (take < len) /* the contract: who does not take all has switched it off */
		w->transport->kind->set_reading(w->transport, false);
	event_base_loopbreak(w->base);
	return take;
}

static void
on_opened(void *arg)
{
	struct world *w = arg;

	w->opened++;
	event_base_loopbreak(w->base);
}

static void
on_gone(void *arg, int error)
{
	struct world *w = arg;
	const char *why = w->transport->kind->why(w->transport);

	w->gone++;
	w->error = error;
	snprintf(w->why, sizeof(w->why), "%s", why != NULL ? why : "");
	w->transport->kind->close(w->transport);
	w->transport = NULL;
	event_base_loopbreak(w->base);
}

static ssize_t
server_read(struct server *s, uint8_t *ret, size_t len)
{
	return s->tls != NULL ? tls_read(s->tls, ret, len) : read(s->fd, ret, len);
}

static void
server_write(struct server *s, const uint8_t *bytes, size_t len)
{
	ssize_t n = s->tls != NULL ? tls_write(s->tls, bytes, len) : write(s->fd, bytes, len);

	assert_int_equal(n, len);
}

static void
server_on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	uint8_t bytes[256];
	ssize_t n;

	(void)fd, (void)what;
	if (s->tls != NULL && !s->joined) {
		int result = tls_handshake(s->tls);

		s->joined = result == 0;
		if (result < 0 && result > TLS_WANT_READ)
			event_del(s->on_fd);
		if (!s->joined)
			return;
	}
	while ((n = server_read(s, bytes, sizeof(bytes))) > 0)
		server_write(s, bytes, (size_t)n);
	if (n == 0)
		event_del(s->on_fd);
}

static void
server_hang_up(struct server *s)
{
	if (s->on_fd != NULL)
		event_free(s->on_fd);
	tls_free(&s->tls);
	if (s->fd >= 0)
		close(s->fd);
	s->on_fd = NULL;
	s->fd = -1;
}

static void
server_on_listener(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct address peer;

	(void)what;
	server_hang_up(s);
	s->fd = net_accept(fd, &peer);
	assert_true(s->fd >= 0);
	assert_true(address_is_loopback(&peer));
	if (s->mute)
		return;
	if (s->context != NULL)
		s->tls = tls_new(s->context, s->fd);
	s->on_fd = event_new(event_get_base(s->on_listener), s->fd, EV_READ | EV_PERSIST,
			     server_on_fd, s);
	event_add(s->on_fd, NULL);
}

/* Listens on 127.0.0.1; `w->where` is "HOST:PORT". */
static void
world_begin(struct world *w, const char *host, const struct tls_config *tls)
{
	char error[TLS_ERROR_MAX];
	struct address at;
	socklen_t len = sizeof(at.in6);

	*w = (struct world){
		.base = event_base_new(), .take_max = SIZE_MAX, .server.fd = -1, .tls = -1};
	assert_true(address_from_ip("127.0.0.1", 0, &at));
	w->server.listener = net_listen(&at);
	assert_true(w->server.listener >= 0);
	assert_int_equal(getsockname(w->server.listener, &at.any, &len), 0);
	snprintf(w->where, sizeof(w->where), "%s:%u", host, ntohs(at.in4.sin_port));
	if (tls != NULL) {
		w->server.context = tls_context_new(tls, error);
		assert_non_null(w->server.context);
	}
	w->server.on_listener = event_new(w->base, w->server.listener, EV_READ | EV_PERSIST,
					  server_on_listener, &w->server);
	event_add(w->server.on_listener, NULL);
}

static void
world_open(struct world *w, const struct transport_kind *kind)
{
	const struct transport_env env = {.base = w->base, .tls = &w->tls, .name = "up/2"};
	const struct transport_events events = {on_opened, on_bytes, on_gone, w};

	assert_null(kind->check(w->where));
	assert_int_equal(kind->open(&env, w->where, &events, &w->transport), TRANSPORT_OPENING);
	assert_int_equal(w->opened + w->gone, 0);
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(bool *)arg = true;
}

/* Runs the loop until *count is `wanted`. */
static void
await(struct world *w, const unsigned *count, unsigned wanted)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	bool late = false;
	struct event *timer = evtimer_new(w->base, on_patience, &late);

	event_add(timer, &patience);
	while (*count != wanted && !late)
		event_base_loop(w->base, EVLOOP_ONCE);
	event_free(timer);
	if (*count != wanted)
		fail_msg("opened %u, gone %u: %d \"%s\"", w->opened, w->gone, w->error, w->why);
}

static void
await_bytes(struct world *w, size_t total)
{
	while (w->total < total && w->gone == 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(w->total, total);
}

static void
server_stop_listening(struct server *s)
{
	if (s->on_listener == NULL)
		return;
	event_free(s->on_listener);
	close(s->listener);
	s->on_listener = NULL;
}

static void
world_end(struct world *w)
{
	if (w->transport != NULL)
		w->transport->kind->close(w->transport);
	server_stop_listening(&w->server);
	server_hang_up(&w->server);
	tls_context_free(&w->server.context);
	event_base_free(w->base);
	if (w->tls >= 0)
		close(w->tls);
}

static void
say(struct world *w, const char *text)
{
	w->transport->kind->send(w->transport, (const uint8_t *)text, strlen(text));
}

/* ---- TCP ---- */

static void
tcp_opens_in_the_background_and_carries_bytes(void **unused)
{
	struct world w;

	(void)unused;
	world_begin(&w, "127.0.0.1", NULL);
	world_open(&w, &transport_tcp);
	await(&w, &w.opened, 1);
	say(&w, "hello");
	await_bytes(&w, 5);
	assert_memory_equal(w.got, "hello", 5);
	shutdown(w.server.fd, SHUT_WR);
	await(&w, &w.gone, 1);
	assert_int_equal(w.error, 0);
	world_end(&w);
}

static bool
knows_localhost(void)
{
	struct addrinfo *found;

	if (getaddrinfo("localhost", NULL, NULL, &found) != 0) {
		print_message("missing: the name localhost (/etc/hosts)\n");
		return false;
	}
	freeaddrinfo(found);
	return true;
}

static void
a_name_is_looked_up_and_its_addresses_tried_in_turn(void **unused)
{
	struct world w;

	(void)unused;
	if (!knows_localhost())
		skip();
	/* Where it is ::1 as well, nobody listens there. */
	world_begin(&w, "localhost", NULL);
	world_open(&w, &transport_tcp);
	await(&w, &w.opened, 1);
	world_end(&w);
}

static void
who_does_not_listen_is_named_with_the_cause(void **unused)
{
	struct world w;
	char says[200];

	(void)unused;
	world_begin(&w, "127.0.0.1", NULL);
	server_stop_listening(&w.server);
	world_open(&w, &transport_tcp);
	await(&w, &w.gone, 1);
	assert_int_equal(w.opened, 0);
	assert_int_equal(w.error, ECONNREFUSED);
	snprintf(says, sizeof(says), "%s: Connection refused", w.where);
	assert_string_equal(w.why, says);
	world_end(&w);
}

static void
a_name_that_nobody_has_is_named(void **unused)
{
	struct world w;

	(void)unused;
	/* Longer than a label may be: known without asking anybody. */
	world_begin(&w, "a123456789012345678901234567890123456789012345678901234567890123456789",
		    NULL);
	world_open(&w, &transport_tcp);
	await(&w, &w.gone, 1);
	assert_int_equal(w.error, EHOSTUNREACH);
	assert_memory_equal(w.why, w.where, 60);
	assert_true(strlen(w.why) > 72);
	world_end(&w);
}

/* At once, while its name is looked up, while it connects; how far it is is not ours to say. */
static void
it_can_be_closed_at_any_time(void **unused)
{
	/* A name that is not found may have ended it before. */
	const char *const hosts[] = {"127.0.0.1", knows_localhost() ? "localhost" : "127.0.0.1"};
	struct world w;

	(void)unused;
	for (unsigned i = 0; i < 8; i++) {
		unsigned told;

		world_begin(&w, hosts[i % 2], NULL);
		world_open(&w, &transport_tcp);
		for (unsigned turns = 0; turns < i / 2; turns++)
			event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		told = w.opened;
		w.transport->kind->close(w.transport);
		w.transport = NULL;
		event_base_loop(w.base, EVLOOP_NONBLOCK);
		assert_int_equal(w.opened, told);
		assert_int_equal(w.gone, 0);
		world_end(&w);
	}
}

static void
addresses_are_checked_before_they_are_used(void **unused)
{
	(void)unused;
	assert_non_null(transport_tcp.check("host"));
	assert_non_null(transport_tcp.check("::1:80"));
	assert_null(transport_tcp.check("[::1]:80"));
	assert_non_null(transport_tls.check("host:0"));
	assert_null(transport_tls.check("host:8889"));
	assert_non_null(transport_vsock.check("host:80"));
	assert_null(transport_vsock.check("2:8888"));
	assert_true(transport_tcp.exposed);
	assert_false(transport_tls.exposed);
	assert_false(transport_vsock.exposed);
}

static void
vsock_opens_or_says_why_not(void **unused)
{
	struct world w;

	(void)unused;
	world_begin(&w, "127.0.0.1", NULL);
	/* Our own CID's loopback, port 1: nobody is there, whatever this kernel can. */
	snprintf(w.where, sizeof(w.where), "1:1");
	world_open(&w, &transport_vsock);
	await(&w, &w.gone, 1);
	assert_int_not_equal(w.error, 0);
	assert_memory_equal(w.why, "vsock 1:1: ", 11);
	world_end(&w);
}

/* ---- TLS ---- */

static struct tls_config
tls_server(void)
{
	return (struct tls_config){.server = true,
				   .psk = tls_rig_write("psk", "alice:" TLS_RIG_KEY "\n")};
}

static void
tls_begin(struct world *w, const char *key)
{
	const struct tls_config server = tls_server();
	char text[256];
	struct tls_config client;

	snprintf(text, sizeof(text), "alice:%s\n", key);
	client = (struct tls_config){.psk = tls_rig_write("client.psk", text)};
	world_begin(w, "127.0.0.1", &server);
	w->tls = tls_rig_service();
	assert_true(tls_rig_load(w->tls, "source up", &client));
	world_open(w, &transport_tls);
}

static void
tls_is_open_when_both_know_each_other(void **unused)
{
	struct world w;

	(void)unused;
	tls_begin(&w, TLS_RIG_KEY);
	await(&w, &w.opened, 1);
	say(&w, "hello");
	await_bytes(&w, 5);
	assert_memory_equal(w.got, "hello", 5);
	assert_string_equal(tls_peer(w.server.tls), "psk:alice");
	assert_int_equal(tls_close(w.server.tls), 0);
	await(&w, &w.gone, 1);
	assert_int_equal(w.error, 0);
	assert_string_equal(w.why, "");
	world_end(&w);
}

static void
a_wrong_key_never_opens_and_says_so(void **unused)
{
	struct world w;

	(void)unused;
	tls_begin(&w, TLS_RIG_OTHER_KEY);
	await(&w, &w.gone, 1);
	assert_int_equal(w.opened, 0);
	assert_int_equal(w.error, EPROTO);
	assert_non_null(strstr(w.why, "does it have identity \"alice\" with the key of "));
	assert_non_null(strstr(w.why, "client.psk?"));
	world_end(&w);
}

static void
files_that_are_wrong_are_named(void **unused)
{
	const struct tls_config absent = {.psk = tls_rig_path("absent.psk")}, none = {0};
	struct world w;

	(void)unused;
	world_begin(&w, "127.0.0.1", NULL);
	w.tls = tls_rig_service();
	assert_false(tls_rig_load(w.tls, "source up", &absent));
	world_open(&w, &transport_tls);
	await(&w, &w.gone, 1);
	assert_int_equal(w.error, EPROTO);
	assert_non_null(strstr(w.why, "absent.psk: No such file or directory"));
	w.gone = 0;
	assert_false(tls_rig_load(w.tls, "source up", &none));
	world_open(&w, &transport_tls);
	await(&w, &w.gone, 1);
	assert_non_null(strstr(w.why, "psk or ca is needed"));
	world_end(&w);
}

static void
without_ekey_tls_or_keys_there_is_no_tls_and_it_is_told(void **unused)
{
	struct world w;

	(void)unused;
	world_begin(&w, "127.0.0.1", NULL);
	world_open(&w, &transport_tls);
	await(&w, &w.gone, 1);
	assert_string_equal(w.why, "ekey-tls is not running");
	w.gone = 0;
	w.tls = tls_rig_service();
	assert_int_equal(tls_channel_order(w.tls, TLS_END), 0);
	world_open(&w, &transport_tls);
	await(&w, &w.gone, 1);
	assert_string_equal(w.why, "ekey-tls has no keys for this section");
	world_end(&w);
}

static void
a_connection_that_is_cut_is_gone(void **unused)
{
	struct world w;

	(void)unused;
	tls_begin(&w, TLS_RIG_KEY);
	await(&w, &w.opened, 1);
	shutdown(w.server.fd, SHUT_WR);
	await(&w, &w.gone, 1);
	world_end(&w);
}

static void
what_is_not_taken_comes_again_and_nothing_is_lost(void **unused)
{
	struct world w;

	(void)unused;
	tls_begin(&w, TLS_RIG_KEY);
	await(&w, &w.opened, 1);
	w.take_max = 3;
	say(&w, "0123456789");
	await_bytes(&w, 3);
	for (size_t had = 3; had < 10; had += 3) {
		w.transport->kind->set_reading(w.transport, true);
		await_bytes(&w, had + 3 < 10 ? had + 3 : 10);
	}
	assert_memory_equal(w.got, "0123456789", 10);
	w.transport->kind->set_reading(w.transport, false);
	shutdown(w.server.fd, SHUT_RDWR);
	await(&w, &w.gone, 1);
	assert_int_equal(w.error, 0);
	world_end(&w);
}

/* More than a wake-up reads; part of it lies with TLS where the socket shows nothing. */
static void
a_flood_comes_through_whole(void **unused)
{
	static uint8_t bytes[BIG_LEN];
	struct world w;
	size_t sent = 0;

	(void)unused;
	memset(bytes, 0x5a, sizeof(bytes));
	tls_begin(&w, TLS_RIG_KEY);
	await(&w, &w.opened, 1);
	event_base_loop(w.base, EVLOOP_NONBLOCK); /* the server's handshake */
	while (w.total < BIG_LEN) {
		ssize_t n =
			sent < BIG_LEN ? tls_write(w.server.tls, bytes + sent, BIG_LEN - sent) : 0;

		if (n > 0)
			sent += (size_t)n;
		else
			event_base_loop(w.base, EVLOOP_NONBLOCK);
		assert_int_equal(w.gone, 0);
	}
	assert_int_equal(w.total, BIG_LEN);
	world_end(&w);
}

int
main(int argc, char **argv)
{
	static const struct helper_role *const roles[] = {&resolver_role, NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_opens_in_the_background_and_carries_bytes),
		cmocka_unit_test(a_name_is_looked_up_and_its_addresses_tried_in_turn),
		cmocka_unit_test(who_does_not_listen_is_named_with_the_cause),
		cmocka_unit_test(a_name_that_nobody_has_is_named),
		cmocka_unit_test(it_can_be_closed_at_any_time),
		cmocka_unit_test(addresses_are_checked_before_they_are_used),
		cmocka_unit_test(vsock_opens_or_says_why_not),
		cmocka_unit_test(tls_is_open_when_both_know_each_other),
		cmocka_unit_test(a_wrong_key_never_opens_and_says_so),
		cmocka_unit_test(files_that_are_wrong_are_named),
		cmocka_unit_test(without_ekey_tls_or_keys_there_is_no_tls_and_it_is_told),
		cmocka_unit_test(a_connection_that_is_cut_is_gone),
		cmocka_unit_test(what_is_not_taken_comes_again_and_nothing_is_lost),
		cmocka_unit_test(a_flood_comes_through_whole),
	};

	(void)argc;
	helper_main(roles, argv);
	return cmocka_run_group_tests(tests, tls_rig_begin, tls_rig_end);
}
