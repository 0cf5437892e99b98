/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "egd/acl.h"
#include "egd/server/identity.h"

#define LEFT_MAX 3

static int
set_up(void **state)
{
	static struct egd_identities ids;

	egd_identities_init(&ids, LEFT_MAX);
	*state = &ids;
	return 0;
}

static int
tear_down(void **state)
{
	egd_identities_finish(*state);
	return 0;
}

static struct egd_identity *
join(struct egd_identities *ids, enum identity_kind kind, uint64_t number)
{
	const struct pool_client client = {.kind = kind, .number = number};
	struct token_bucket full;

	token_bucket_init(&full, 1, 1000, 0);
	return egd_identities_join(ids, &client, &full);
}

static bool
has(struct egd_identities *ids, enum identity_kind kind, uint64_t number)
{
	return egd_identities_has(ids, &(struct pool_client){.kind = kind, .number = number});
}

static void
connections_of_one_identity_share(void **state)
{
	struct egd_identity *a = join(*state, IDENTITY_UID, 7), *b = join(*state, IDENTITY_UID, 7);
	struct egd_identity *vsock = join(*state, IDENTITY_VSOCK, 7); /* another kind of seven */
	struct egd_identity *other = join(*state, IDENTITY_UID, 7 + 256);

	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, vsock);
	assert_ptr_not_equal(a, other);
	assert_int_equal(a->connections, 2);
	egd_identities_leave(*state, a);
	assert_true(has(*state, IDENTITY_UID, 7));
	egd_identities_leave(*state, a);
	assert_false(has(*state, IDENTITY_UID, 7));
	egd_identities_leave(*state, vsock);
	egd_identities_leave(*state, other);
}

static void
new_connection_gets_no_new_burst(void **state)
{
	struct egd_identity *m = join(*state, IDENTITY_UID, 1);

	assert_true(token_bucket_take(&m->allowance, 1000, 0));
	egd_identities_leave(*state, m);
	m = join(*state, IDENTITY_UID, 1);
	assert_false(token_bucket_take(&m->allowance, 1, 0));
	egd_identities_leave(*state, m);
}

static void
oldest_identity_without_connection_is_forgotten_first(void **state)
{
	struct egd_identity *m;

	for (uint64_t i = 0; i < LEFT_MAX + 1; i++) {
		m = join(*state, IDENTITY_IPV4, i);
		assert_true(token_bucket_take(&m->allowance, 1000, 0));
		egd_identities_leave(*state, m);
	}
	m = join(*state, IDENTITY_IPV4, LEFT_MAX);
	assert_false(token_bucket_take(&m->allowance, 1, 0));
	egd_identities_leave(*state, m);
	m = join(*state, IDENTITY_IPV4, 0);
	assert_true(token_bucket_take(&m->allowance, 1000, 0));
	egd_identities_leave(*state, m);
}

/* ---- IPv6: addresses in a network ---- */

static struct egd_identity *
join_host(struct egd_identities *ids, uint64_t network, uint64_t host)
{
	const struct pool_client client = {.kind = IDENTITY_IPV6, .number = network, .host = host};
	struct token_bucket full;

	token_bucket_init(&full, 1, 1000, 0);
	return egd_identities_join(ids, &client, &full);
}

static void
an_address_cannot_use_up_the_rate_of_its_neighbours(void **state)
{
	struct egd_identity *a = join_host(*state, 7, 1), *b = join_host(*state, 7, 2);

	assert_true(egd_identity_take(a, 1000, 0));
	assert_false(egd_identity_take(a, 1, 0));
	assert_int_equal(egd_identity_when(a, 1, 0), 1000);
	assert_true(egd_identity_take(b, 1000, 0));
	egd_identities_leave(*state, a);
	egd_identities_leave(*state, b);
}

/* An address that is beyond its network's rate keeps its own allowance. */
static void
addresses_of_one_network_share_the_rate_of_sixteen(void **state)
{
	struct egd_identity *m, *other = join_host(*state, 8, 1);

	for (uint64_t host = 0; host < EGD_NETWORK_ADDRESSES; host++) {
		m = join_host(*state, 7, host);
		assert_true(egd_identity_take(m, 1000, 0));
		egd_identities_leave(*state,
				     m); /* the network is remembered, if not each address */
	}
	m = join_host(*state, 7, EGD_NETWORK_ADDRESSES);
	assert_false(egd_identity_take(m, 16, 0));
	assert_int_equal(egd_identity_when(m, 16, 0), 1000);
	assert_int_equal(m->allowance.level, 1000 * 1000);
	assert_true(egd_identity_take(other, 1000, 0));
	egd_identities_leave(*state, m);
	egd_identities_leave(*state, other);
}

/* Each kind has numbers of its own; the text is for the log. */
static void
identity_is_the_guest_the_tls_name_or_the_address(void **state)
{
	struct egd_peer peer = {.uid = 107};
	struct pool_client client = {.host = 7}, other;
	char text[EGD_PEER_TEXT_MAX], one[] = "psk:web1", two[] = "psk:web2";

	(void)state;
	peer.address.any.sa_family = AF_UNIX;
	egd_peer_identity(&peer, &client);
	assert_int_equal(client.kind, IDENTITY_UID);
	assert_int_equal(client.number, 107);
	assert_int_equal(client.host, 0);
	assert_int_equal(egd_peer_number(&peer), 107);
	egd_peer_text(&peer, text);
	assert_string_equal(text, "uid 107");
	peer.guest = "web1";
	egd_peer_identity(&peer, &client);
	peer.guest = "web2";
	egd_peer_identity(&peer, &other);
	assert_int_equal(client.kind, IDENTITY_DOMAIN);
	assert_int_not_equal(client.number, other.number);
	egd_peer_text(&peer, text);
	assert_string_equal(text, "guest web2");
	peer.guest = NULL;
	assert_true(address_from_ip("192.0.2.7", 4711, &peer.address));
	egd_peer_identity(&peer, &client);
	assert_int_equal(client.kind, IDENTITY_IPV4);
	assert_int_equal(client.number, 0xc0000207);
	peer.tls_name = two;
	egd_peer_identity(&peer, &other);
	peer.tls_name = one;
	egd_peer_identity(&peer, &client);
	assert_int_equal(client.kind, IDENTITY_TLS);
	assert_int_not_equal(client.number, other.number);
	egd_peer_text(&peer, text);
	assert_string_equal(text, "psk:web1 at 192.0.2.7:4711");
	peer.tls_name = NULL;
	peer.address.vm = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = 3};
	egd_peer_identity(&peer, &client);
	assert_int_equal(client.kind, IDENTITY_VSOCK);
	assert_int_equal(client.number, 3);
}

static struct pool_client
identity_of(const char *ip, unsigned scope)
{
	struct egd_peer peer = {0};
	struct pool_client client;

	assert_true(address_from_ip(ip, 1, &peer.address));
	peer.address.in6.sin6_scope_id = scope;
	egd_peer_identity(&peer, &client);
	return client;
}

static void
a_link_local_network_is_its_link(void **state)
{
	struct pool_client a = identity_of("2001:db8::1", 0), b = identity_of("2001:db8::2", 0);

	(void)state;
	assert_int_equal(a.kind, IDENTITY_IPV6);
	assert_int_equal(a.number, b.number);
	assert_int_not_equal(a.host, b.host);
	a = identity_of("fe80::1", 2);
	b = identity_of("fe80::1", 3);
	assert_int_not_equal(a.number, b.number);
	assert_int_equal(a.number, identity_of("fe80::2", 2).number);
}

/* ---- lists of networks ---- */

static bool
listed(const char *text, const char *ip)
{
	struct egd_acl networks;
	struct address address;

	assert_null(egd_acl_parse(text, &networks));
	assert_true(address_from_ip(ip, 1, &address));
	return egd_acl_have(&networks, &address);
}

static void
a_list_contains_the_addresses_of_its_networks(void **state)
{
	(void)state;
	assert_true(listed("10.0.0.0/8, 2001:db8::/32 192.0.2.7", "10.9.9.9"));
	assert_true(listed("10.0.0.0/8, 2001:db8::/32 192.0.2.7", "2001:db8::1"));
	assert_true(listed("10.0.0.0/8,2001:db8::/32,,192.0.2.7 ", "192.0.2.7"));
	assert_false(listed("10.0.0.0/8, 2001:db8::/32 192.0.2.7", "192.0.2.8"));
	assert_false(listed("10.0.0.0/8", "2001:db8::1"));
	assert_false(listed("", "10.0.0.1"));
}

static void
list_with_a_bad_network_is_refused(void **state)
{
	struct egd_acl networks;
	char many[EGD_ACL_TEXT_MAX] = "";

	(void)state;
	assert_non_null(egd_acl_parse("10.0.0.0/8, 10.0.0.0/33", &networks));
	assert_non_null(egd_acl_parse("localhost", &networks));
	assert_non_null(egd_acl_parse(
		"1111111111111111111111111111111111111111111111111111111111/8", &networks));
	for (size_t i = 0; i < EGD_ACL_MAX; i++)
		strcat(many, "1.2.3.4,");
	assert_null(egd_acl_parse(many, &networks));
	assert_int_equal(networks.count, EGD_ACL_MAX);
	strcat(many, "::1");
	assert_non_null(egd_acl_parse(many, &networks));
}

static void
proxies_are_networks_and_users_of_this_machine(void **state)
{
	struct address here = {.any.sa_family = AF_UNIX}, there;
	struct egd_proxies proxies;

	(void)state;
	assert_null(egd_proxies_parse("10.0.0.0/8, root 107", &proxies));
	assert_true(address_from_ip("10.1.2.3", 1, &there));
	assert_true(egd_proxies_have(&proxies, &there, 4711));
	assert_true(egd_proxies_have(&proxies, &here, 0));
	assert_true(egd_proxies_have(&proxies, &here, 107));
	assert_false(egd_proxies_have(&proxies, &here, 4711));
	assert_true(address_from_ip("11.1.2.3", 1, &there));
	assert_false(egd_proxies_have(&proxies, &there, 0));
	assert_non_null(egd_proxies_parse("no-such-user-here", &proxies));
	assert_non_null(egd_proxies_parse("10.0.0.0/33", &proxies));
	assert_non_null(egd_proxies_parse("4294967295", &proxies)); /* it means none */
}

/* In the place of the C library's: this machine has one address. */
static struct sockaddr_in own_address;
static struct ifaddrs own_interface = {.ifa_addr = (struct sockaddr *)&own_address};

int
getifaddrs(struct ifaddrs **ret)
{
	*ret = &own_interface;
	return 0;
}

void
freeifaddrs(struct ifaddrs *all)
{
	assert_ptr_equal(all, &own_interface);
}

static bool
has_own(const char *text)
{
	struct egd_acl networks;

	assert_null(egd_acl_parse(text, &networks));
	return egd_acl_have_own(&networks);
}

static void
loopback_is_found_in_any_network_that_has_a_part_of_it(void **state)
{
	(void)state;
	assert_true(has_own("10.0.0.0/8, 127.0.0.9"));
	assert_true(has_own("127.0.0.0/8"));
	assert_true(has_own("0.0.0.0/0"));
	assert_true(has_own("::1"));
	assert_true(has_own("::/0"));
	assert_false(has_own("10.0.0.0/8, 128.0.0.1, 2001:db8::/32"));
	assert_false(has_own(""));
}

static void
address_of_an_interface_is_this_machines(void **state)
{
	(void)state;
	own_address.sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &own_address.sin_addr), 1);
	assert_true(has_own("192.0.2.7"));
	assert_true(has_own("10.0.0.0/8, 192.0.2.0/24"));
	assert_false(has_own("192.0.2.8, 10.0.0.0/8, 2001:db8::/32"));
	own_interface.ifa_addr = NULL; /* as that of a tunnel */
	assert_false(has_own("192.0.2.7"));
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROMISE(connections_of_one_identity_share),
		PROMISE(new_connection_gets_no_new_burst),
		PROMISE(oldest_identity_without_connection_is_forgotten_first),
		PROMISE(an_address_cannot_use_up_the_rate_of_its_neighbours),
		PROMISE(addresses_of_one_network_share_the_rate_of_sixteen),
		cmocka_unit_test(identity_is_the_guest_the_tls_name_or_the_address),
		cmocka_unit_test(a_link_local_network_is_its_link),
		cmocka_unit_test(a_list_contains_the_addresses_of_its_networks),
		cmocka_unit_test(list_with_a_bad_network_is_refused),
		cmocka_unit_test(proxies_are_networks_and_users_of_this_machine),
		cmocka_unit_test(loopback_is_found_in_any_network_that_has_a_part_of_it),
		cmocka_unit_test(address_of_an_interface_is_this_machines),
	};

	return cmocka_run_group_tests_name("egd_identity", tests, NULL, NULL);
}
