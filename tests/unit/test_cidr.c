/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/transport/self_check.h"
#include "lib/address.h"
#include "lib/cidr.h"
#include "lib/net.h"
#include "lib/wiping_alloc.h"

/* ---- addresses ---- */

static void
hosts_and_ports_are_told_apart(void **unused)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{"a.example:8888", "a.example", 8888},
		{"192.0.2.1:1", "192.0.2.1", 1},
		{"[2001:db8::1]:65535", "2001:db8::1", 65535},
		{"[fe80::1%lo]:80", "fe80::1%lo", 80},
	};
	static const char *const bad[] = {"",       ":1",     "a",      "a:",   "a:0",   "a:65536",
					  "a:1x",   "a:-1",   "::1:80", "[]:1", "[::1]", "[::1]80",
					  "a b:80", "a,b:80", "[a:80",  "a]:80"};
	struct address_host host;

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(address_parse_host(good[i].text, &host));
		assert_string_equal(host.host, good[i].host);
		assert_int_equal(host.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_parse_host(bad[i], &host) == NULL)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void
addresses_read_as_they_were_written(void **unused)
{
	static const char *const good[] = {"192.0.2.1:4711", "[2001:db8::1]:80", "[::]:1",
					   "[fe80::1%1]:80"};
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		/* Interfaces are written by name: number 1 is the loopback. */
		const char *written = strchr(good[i], '%') != NULL ? "[fe80::1%lo]:80" : good[i];

		assert_null(address_parse_inet(written, &address));
		address_text(&address, text);
		assert_string_equal(text, good[i]);
	}
	assert_non_null(address_parse_inet("a.example:80", &address));
	assert_non_null(address_parse_inet("192.0.2:80", &address));
	assert_string_equal(address_parse_inet("[fe80::1%nowhere0]:80", &address),
			    "this machine has no interface of the name after %");
	assert_string_equal(address_parse_inet("[name%lo]:80", &address),
			    "expected an address in numbers, not a name");
}

static void
vsock_addresses_are_two_numbers(void **unused)
{
	static const char *const bad[] = {
		"",    "2",     "2:",           ":1",           "2:0",          "2:x",
		"x:1", "2:1:3", "4294967295:1", "2:4294967295", "99999999999:1"};
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	(void)unused;
	assert_null(address_parse_vsock("2:8888", &address));
	address_text(&address, text);
	assert_string_equal(text, "vsock 2:8888");
	assert_null(address_parse_vsock_listen("8888", &address));
	assert_int_equal(address.vm.svm_cid, VMADDR_CID_ANY);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(address_parse_vsock(bad[i], &address));
	assert_null(address_parse_vsock("4294967294:4294967294", &address));
	assert_int_equal(address.vm.svm_cid, UINT32_MAX - 1);
	assert_int_equal(address.vm.svm_port, UINT32_MAX - 1);
	assert_non_null(address_parse_vsock_listen("2:1", &address));
}

static void
ipv4_over_ipv6_is_ipv4(void **unused)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	(void)unused;
	assert_true(address_from_ip("::ffff:192.0.2.1", 4711, &address));
	assert_int_equal(address.any.sa_family, AF_INET6);
	address_unmap(&address);
	assert_int_equal(address.any.sa_family, AF_INET);
	address_text(&address, text);
	assert_string_equal(text, "192.0.2.1:4711");
}

static void
loopback_is_this_machine(void **unused)
{
	static const char *const ours[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
	static const char *const others[] = {"0.0.0.0", "128.0.0.1", "::", "::2",
					     "::ffff:10.0.0.1"};
	struct address address;

	(void)unused;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_true(address_from_ip(ours[i], 1, &address) && address_is_loopback(&address));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_true(address_from_ip(others[i], 1, &address) &&
			    !address_is_loopback(&address));
	assert_null(address_parse_vsock("2:8888", &address));
	assert_false(address_is_loopback(&address));
}

/* ---- networks ---- */

static bool
has(const char *network_of, const char *ip)
{
	struct cidr network;
	struct address address;

	assert_null(cidr_parse(network_of, &network));
	assert_true(address_from_ip(ip, 4711, &address));
	return cidr_has(&network, &address);
}

static void
a_network_has_its_addresses_and_no_other(void **unused)
{
	(void)unused;
	assert_true(has("10.0.0.0/8", "10.255.255.255"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_true(has("192.0.2.128/25", "192.0.2.128"));
	assert_false(has("192.0.2.128/25", "192.0.2.127"));
	assert_true(has("192.0.2.1", "192.0.2.1"));
	assert_false(has("192.0.2.1/32", "192.0.2.0"));
	assert_true(has("0.0.0.0/0", "255.255.255.255"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_true(has("::/0", "2001:db8::1"));
	assert_false(has("::/0", "192.0.2.1"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_false(has("::1", "::2"));
	/* As an IPv6 socket tells an IPv4 peer. */
	assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_false(has("::/0", "::ffff:10.1.2.3"));
	/* Written as IPv6, too. */
	assert_true(has("::ffff:10.0.0.0/104", "10.255.255.255"));
	assert_false(has("::ffff:10.0.0.0/104", "11.0.0.0"));
	assert_true(has("::ffff:192.0.2.1", "::ffff:192.0.2.1"));
	assert_true(has("::ffff:0.0.0.0/96", "192.0.2.1"));
	assert_false(has("::ffff:0.0.0.0/96", "::1"));
}

static void
one_bit_more_halves_a_network(void **unused)
{
	struct address address;

	(void)unused;
	for (unsigned bits = 0; bits <= 128; bits++) {
		struct cidr network = {.family = AF_INET6, .bits = (uint8_t)bits};

		memset(network.prefix, 0xff, bits / 8);
		if (bits % 8 != 0)
			network.prefix[bits / 8] = (uint8_t)(0xff << (8 - bits % 8));
		assert_true(
			address_from_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, &address));
		for (unsigned flip = 0; flip < 128; flip++) {
			address.in6.sin6_addr.s6_addr[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
			assert_true(cidr_has(&network, &address) == (flip >= bits));
			address.in6.sin6_addr.s6_addr[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		}
	}
}

static void
networks_read_as_they_were_written(void **unused)
{
	static const char *const good[] = {"10.0.0.0/8",    "192.0.2.1/32", "0.0.0.0/0",
					   "2001:db8::/32", "::/0",         "::1/128"};
	static const char *const bad[] = {
		"",           "/8",         "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/-1",
		"10/8",       "::/129",     "a.example/8", "10.0.0.1/8",  "2001:db8::1/64",
		"fe80::1%lo", "10.0.0.0/8 "};
	struct cidr network;

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(cidr_parse(good[i], &network));
		assert_int_equal(network.bits, strtoul(strchr(good[i], '/') + 1, NULL, 10));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cidr_parse(bad[i], &network) == NULL)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_non_null(strstr(cidr_parse("10.0.0.1/8", &network), "beyond its prefix"));
}

/* ---- sockets ---- */

/* Listens on a port of the kernel's choice at `ip`, and puts that into *ret; -errno if it cannot.
 */
static int
listen_on(const char *ip, struct address *ret)
{
	socklen_t len = sizeof(ret->in6);
	int fd;

	assert_true(address_from_ip(ip, 0, ret));
	fd = net_listen(ret);
	if (fd >= 0)
		assert_int_equal(getsockname(fd, &ret->any, &len), 0);
	return fd;
}

static int
option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
assert_kept_alive(int fd)
{
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
}

static void
tcp_connections_are_kept_alive_on_both_sides(void **unused)
{
	struct address at, peer, mine;
	int listener = listen_on("127.0.0.1", &at);
	socklen_t len = sizeof(mine.in6);
	char text[2][ADDRESS_TEXT_MAX];
	int client, server;

	(void)unused;
	assert_true(listener >= 0);
	assert_int_equal(net_accept(listener, &peer), -EAGAIN);
	client = net_connect(&at);
	assert_true(client >= 0);
	server = net_accept(listener, &peer);
	assert_true(server >= 0);
	assert_int_equal(net_connected(client), 0);
	assert_kept_alive(client);
	assert_kept_alive(server);
	assert_int_equal(getsockname(client, &mine.any, &len), 0);
	address_text(&mine, text[0]);
	address_text(&peer, text[1]);
	assert_string_equal(text[0], text[1]);
	close(client);
	close(server);
	/* While the connection lingers the address can be used again. */
	close(listener);
	listener = net_listen(&at);
	assert_true(listener >= 0);
	close(listener);
	client = net_connect(&at);
	assert_true(client >= 0 ? net_connected(client) == -ECONNREFUSED : client == -ECONNREFUSED);
	if (client >= 0)
		close(client);
}

static void
one_ipv6_listener_serves_both_kinds(void **unused)
{
	struct address at, peer, client_at;
	int listener = listen_on("::", &at);
	int client, server;

	(void)unused;
	if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL) {
		print_message("skipped: this machine has no IPv6\n");
		skip();
	}
	assert_true(listener >= 0);
	assert_true(address_from_ip("127.0.0.1", ntohs(at.in6.sin6_port), &client_at));
	client = net_connect(&client_at);
	assert_true(client >= 0);
	server = net_accept(listener, &peer);
	assert_true(server >= 0);
	assert_int_equal(peer.any.sa_family, AF_INET);
	assert_true(address_is_loopback(&peer));
	close(client);
	close(server);
	close(listener);
}

static void
a_unix_peer_is_told_as_such(void **unused)
{
	char dir[] = "/tmp/ekey-net.XXXXXX", path[64], text[ADDRESS_TEXT_MAX];
	struct address peer;
	int listener, client, server;

	(void)unused;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	listener = net_unix_listen(path, 0600);
	assert_true(listener >= 0);
	client = net_unix_connect(path);
	assert_true(client >= 0);
	server = net_accept(listener, &peer);
	assert_true(server >= 0);
	address_text(&peer, text);
	assert_string_equal(text, "unix");
	close(client);
	close(server);
	close(listener);
	unlink(path);
	rmdir(dir);
}

/* ---- a Unix socket in a directory that others may write ---- */

static struct {
	char dir[32], path[64], other[64];
	bool swaps; /* the next bind(2) */
} shared;

/* In place of libc's: what others may do in the moment after it. */
int
bind(int fd, const struct sockaddr *address, socklen_t len)
{
	int result = (int)syscall(SYS_bind, fd, address, len);

	if (shared.swaps) {
		assert_int_equal(unlink(shared.path), 0);
		assert_int_equal(symlink(shared.other, shared.path), 0);
	}
	shared.swaps = false;
	return result;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static int
make_shared(void **unused)
{
	(void)unused;
	strcpy(shared.dir, "/tmp/ekey-net.XXXXXX");
	if (mkdtemp(shared.dir) == NULL)
		return -1;
	snprintf(shared.path, sizeof(shared.path), "%s/socket", shared.dir);
	snprintf(shared.other, sizeof(shared.other), "%s/file", shared.dir);
	return close(open(shared.other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int
remove_shared(void **unused)
{
	(void)unused;
	unlink(shared.path);
	unlink(shared.other);
	return rmdir(shared.dir);
}

static void
a_socket_has_its_mode_whatever_the_umask(void **unused)
{
	static const mode_t modes[] = {0600, 0660, 0666};
	mode_t mask = umask(077);

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		int fd = net_unix_listen(shared.path, modes[i]);

		assert_true(fd >= 0);
		assert_int_equal(mode_of(shared.path), modes[i]);
		close(fd);
	}
	assert_int_equal(umask(mask), 077);
}

static void
a_file_that_is_put_in_the_place_of_a_socket_stays_as_it_is(void **unused)
{
	int fd;

	(void)unused;
	shared.swaps = true;
	fd = net_unix_listen(shared.path, 0666);
	close(fd);
	assert_int_equal(mode_of(shared.other), 0600);
	assert_int_equal(net_unix_chmod(shared.path, 0666), -EEXIST);
	assert_int_equal(net_unix_chown(shared.path, (uid_t)-1, (gid_t)-1), -EEXIST);
	net_unix_unlink(shared.path);
	assert_int_equal(mode_of(shared.path), 0777); /* the link */
	assert_int_equal(net_unix_chmod(shared.other, 0666), -EEXIST);
	net_unix_unlink(shared.other);
	assert_int_equal(mode_of(shared.other), 0600);
}

static void
a_socket_can_be_changed_and_removed(void **unused)
{
	int fd = net_unix_listen(shared.path, 0600);

	(void)unused;
	assert_true(fd >= 0);
	assert_int_equal(net_unix_chmod(shared.path, 0660), 0);
	assert_int_equal(mode_of(shared.path), 0660);
	assert_int_equal(net_unix_chown(shared.path, geteuid(), getegid()), 0);
	net_unix_unlink(shared.path);
	assert_int_equal(access(shared.path, F_OK), -1);
	assert_int_equal(net_unix_chmod(shared.path, 0660), -ENOENT);
	close(fd);
}

static void
a_socket_that_cannot_be_made_leaves_no_descriptor(void **unused)
{
	int before = dup(STDERR_FILENO), after;

	(void)unused;
	close(before);
	assert_int_equal(net_unix_listen("/none/socket", 0600), -ENOENT);
	assert_int_equal(net_unix_chmod("/etc/passwd", 0600), -EEXIST);
	after = dup(STDERR_FILENO);
	close(after);
	assert_int_equal(after, before); /* the lowest that is free */
}

/* Who is at the other end of a connection from here to `host`, which listens here too. */
static enum self_check
peer_at(const char *host)
{
	struct address at;
	int client, listener = listen_on(host, &at);
	enum self_check peer;

	if (listener < 0) {
		print_message("skipped: this machine has no %s\n", host);
		skip();
	}
	client = net_connect(&at);
	assert_true(client >= 0);
	peer = self_check(client);
	close(client);
	close(listener);
	return peer;
}

static void
a_peer_at_our_own_address_is_near(void **unused)
{
	(void)unused;
	assert_int_equal(peer_at("127.0.0.1"), SELF_CHECK_NEAR);
}

static void
a_peer_at_our_own_ipv6_address_is_near(void **unused)
{
	(void)unused;
	assert_int_equal(peer_at("::1"), SELF_CHECK_NEAR);
}

/* Linux has the whole of 127.0.0.0/8, and connects from the first. */
static void
a_peer_at_another_address_is_another(void **unused)
{
	struct address at, here;
	int client, listener = listen_on("127.0.0.2", &at);

	(void)unused;
	assert_true(listener >= 0);
	assert_true(address_from_ip("127.0.0.1", 0, &here));
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(client, &here.any, here.len), 0);
	assert_int_equal(connect(client, &at.any, at.len), 0);
	assert_int_equal(self_check(client), SELF_CHECK_OTHER);
	assert_int_equal(self_check(-1), SELF_CHECK_OTHER);
	assert_int_equal(self_check(listener), SELF_CHECK_OTHER); /* it has none */
	close(client);
	close(listener);
}

/* The listener's credentials are those of whom called listen(2). */
static void
a_unix_peer_is_this_process_or_another(void **unused)
{
	char dir[] = "/tmp/ekey-net.XXXXXX", path[64];
	int client, listener, ends[2];
	char byte = 0;

	(void)unused;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	listener = net_unix_listen(path, 0600);
	client = net_unix_connect(path);
	assert_int_equal(self_check(client), SELF_CHECK_SELF);
	close(client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	if (fork() == 0) {
		byte = (char)listen(listener, 1);
		(void)!write(ends[1], &byte, 1);
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	client = net_unix_connect(path);
	assert_int_equal(self_check(client), SELF_CHECK_OTHER);
	wait(NULL);
	close(client);
	close(listener);
	close(ends[0]);
	close(ends[1]);
	unlink(path);
	rmdir(dir);
}

/* ---- the wiping heap ---- */

static void
the_heap_keeps_bytes_when_blocks_grow_and_shrink(void **unused)
{
	unsigned char *block = wiping_realloc(NULL, 10);

	(void)unused;
	assert_non_null(block);
	assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
	memcpy(block, "0123456789", 10);
	block = wiping_realloc(block, 100000);
	assert_memory_equal(block, "0123456789", 10);
	block = wiping_realloc(block, 4);
	assert_memory_equal(block, "0123", 4);
	wiping_free(block);
	wiping_free(NULL);
	assert_null(wiping_alloc(SIZE_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_and_ports_are_told_apart),
		cmocka_unit_test(addresses_read_as_they_were_written),
		cmocka_unit_test(vsock_addresses_are_two_numbers),
		cmocka_unit_test(ipv4_over_ipv6_is_ipv4),
		cmocka_unit_test(loopback_is_this_machine),
		cmocka_unit_test(a_network_has_its_addresses_and_no_other),
		cmocka_unit_test(one_bit_more_halves_a_network),
		cmocka_unit_test(networks_read_as_they_were_written),
		cmocka_unit_test(tcp_connections_are_kept_alive_on_both_sides),
		cmocka_unit_test(one_ipv6_listener_serves_both_kinds),
		cmocka_unit_test(a_unix_peer_is_told_as_such),
		cmocka_unit_test_setup_teardown(a_socket_has_its_mode_whatever_the_umask,
						make_shared, remove_shared),
		cmocka_unit_test_setup_teardown(
			a_file_that_is_put_in_the_place_of_a_socket_stays_as_it_is, make_shared,
			remove_shared),
		cmocka_unit_test(a_socket_that_cannot_be_made_leaves_no_descriptor),
		cmocka_unit_test_setup_teardown(a_socket_can_be_changed_and_removed, make_shared,
						remove_shared),
		cmocka_unit_test(a_unix_peer_is_this_process_or_another),
		cmocka_unit_test(a_peer_at_our_own_address_is_near),
		cmocka_unit_test(a_peer_at_our_own_ipv6_address_is_near),
		cmocka_unit_test(a_peer_at_another_address_is_another),
		cmocka_unit_test(the_heap_keeps_bytes_when_blocks_grow_and_shrink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
