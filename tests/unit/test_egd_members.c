/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "egd/members.h"
#include "egd/networks.h"

#define LEFT_MAX 3

static int
set_up(void **state)
{
	static struct egd_members members;

	egd_members_init(&members, LEFT_MAX);
	*state = &members;
	return 0;
}

static int
tear_down(void **state)
{
	egd_members_finish(*state);
	return 0;
}

static struct egd_member *
join(struct egd_members *members, enum identity_kind kind, uint64_t number)
{
	const struct pool_client client = {.kind = kind, .number = number};
	struct bucket full;

	bucket_init(&full, 1, 1000, 0);
	return egd_members_join(members, &client, &full);
}

static bool
has(struct egd_members *members, enum identity_kind kind, uint64_t number)
{
	return egd_members_has(members, &(struct pool_client){.kind = kind, .number = number});
}

static void
connections_of_one_identity_share(void **state)
{
	struct egd_member *a = join(*state, IDENTITY_UID, 7), *b = join(*state, IDENTITY_UID, 7);
	struct egd_member *vsock = join(*state, IDENTITY_VSOCK, 7); /* another kind of seven */
	struct egd_member *other = join(*state, IDENTITY_UID, 7 + 256);

	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, vsock);
	assert_ptr_not_equal(a, other);
	assert_int_equal(a->connections, 2);
	egd_members_leave(*state, a);
	assert_true(has(*state, IDENTITY_UID, 7));
	egd_members_leave(*state, a);
	assert_false(has(*state, IDENTITY_UID, 7));
	egd_members_leave(*state, vsock);
	egd_members_leave(*state, other);
}

static void
coming_again_is_no_new_burst(void **state)
{
	struct egd_member *m = join(*state, IDENTITY_UID, 1);

	assert_true(bucket_take(&m->allowance, 1000, 0));
	egd_members_leave(*state, m);
	m = join(*state, IDENTITY_UID, 1);
	assert_false(bucket_take(&m->allowance, 1, 0));
	egd_members_leave(*state, m);
}

static void
who_left_first_is_forgotten_first(void **state)
{
	struct egd_member *m;

	for (uint64_t i = 0; i < LEFT_MAX + 1; i++) {
		m = join(*state, IDENTITY_IPV4, i);
		assert_true(bucket_take(&m->allowance, 1000, 0));
		egd_members_leave(*state, m);
	}
	m = join(*state, IDENTITY_IPV4, LEFT_MAX);
	assert_false(bucket_take(&m->allowance, 1, 0));
	egd_members_leave(*state, m);
	m = join(*state, IDENTITY_IPV4, 0);
	assert_true(bucket_take(&m->allowance, 1000, 0));
	egd_members_leave(*state, m);
}

/* ---- lists of networks ---- */

static bool
listed(const char *text, const char *ip)
{
	struct egd_networks networks;
	struct address address;

	assert_null(egd_networks_parse(text, &networks));
	assert_true(address_from_ip(ip, 1, &address));
	return egd_networks_have(&networks, &address);
}

static void
a_list_has_what_one_of_its_networks_has(void **state)
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
one_bad_network_spoils_the_list(void **state)
{
	struct egd_networks networks;
	char many[EGD_NETWORKS_TEXT_MAX] = "";

	(void)state;
	assert_non_null(egd_networks_parse("10.0.0.0/8, 10.0.0.0/33", &networks));
	assert_non_null(egd_networks_parse("localhost", &networks));
	assert_non_null(egd_networks_parse(
		"1111111111111111111111111111111111111111111111111111111111/8", &networks));
	for (size_t i = 0; i < EGD_NETWORKS_MAX; i++)
		strcat(many, "1.2.3.4,");
	assert_null(egd_networks_parse(many, &networks));
	assert_int_equal(networks.count, EGD_NETWORKS_MAX);
	strcat(many, "::1");
	assert_non_null(egd_networks_parse(many, &networks));
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROMISE(connections_of_one_identity_share),
		PROMISE(coming_again_is_no_new_burst),
		PROMISE(who_left_first_is_forgotten_first),
		cmocka_unit_test(a_list_has_what_one_of_its_networks_has),
		cmocka_unit_test(one_bad_network_spoils_the_list),
	};

	return cmocka_run_group_tests_name("egd_members", tests, NULL, NULL);
}
