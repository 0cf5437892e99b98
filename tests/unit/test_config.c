/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

#define PAGE_MAX 65536

static const char whole[] = "# a comment\n"
			    "[daemon]\n"
			    "user = ekey-random\n"
			    "keyring = /etc/keys ; with a comment\n"
			    "control=/run/control\n"
			    "control-mode = 0660\r\n"
			    "\n"
			    "[source desk] ; the one on the desk\n"
			    "  type = ekey\n"
			    "\taddress = /dev/ttyACM0\n"
			    "h = 5\n"
			    "[source other]\n"
			    "address = unix:/run/key\n"
			    "type = ekey\n"
			    "[source all]\n"
			    "type = ekey\n"
			    "address = usb\n"
			    "expect = 3\n"
			    "[source one]\n"
			    "type = ekey\n"
			    "address = usb:M/tBF1IwMQA+AAAA\n"
			    "[device random]\n"
			    "path = /dev/ekey-random\n"
			    "class = direct\n"
			    "via = fuse\n"
			    "mode = 0440\n"
			    "[listen hosts]\n"
			    "address = tls:[::]:8888\n"
			    "class = direct\n"
			    "allow = 10.0.0.0/8, 2001:db8::/32\n"
			    "proxy-from = 10.0.0.1\n"
			    "psk = /etc/psk\n"
			    "cert = /etc/cert\n"
			    "key = /etc/key\n"
			    "ca = /etc/ca\n"
			    "rate = 64KiB\n"
			    "burst = 1KiB\n"
			    "weight = 100\n"
			    "max-clients = 9\n"
			    "idle = 60s\n"
			    "greet = 64\n"
			    "[listen guests]\n"
			    "address = unix:/run/egd\n"
			    "class = direct\n"
			    "mode = 0600\n"
			    "owner = qemu:kvm\n"
			    "[pool]\n"
			    "size = 64KiB"; /* the last line may lack its end */

static void
every_key_arrives_where_it_belongs(void **state)
{
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse(whole, strlen(whole), &c, &errors));
	assert_string_equal(c.user, "ekey-random");
	assert_string_equal(c.keyring, "/etc/keys");
	assert_string_equal(c.control, "/run/control");
	assert_int_equal(c.control_mode, 0660);
	assert_int_equal(c.pool_size, 65536);
	assert_int_equal(c.source_count, 4);
	assert_string_equal(c.sources[0].name, "desk");
	assert_string_equal(c.sources[0].address, "/dev/ttyACM0");
	assert_int_equal(c.sources[0].h, 5);
	assert_string_equal(c.sources[1].name, "other");
	assert_string_equal(c.sources[1].address, "unix:/run/key");
	assert_int_equal(c.sources[1].h, HEALTH_H_DEFAULT);
	assert_int_equal(c.sources[1].expect, 0);
	assert_string_equal(c.sources[2].address, "usb");
	assert_int_equal(c.sources[2].expect, 3);
	assert_string_equal(c.sources[3].address, "usb:M/tBF1IwMQA+AAAA");
	assert_int_equal(c.device_count, 1);
	assert_string_equal(c.devices[0].name, "random");
	assert_string_equal(c.devices[0].path, "/dev/ekey-random");
	assert_int_equal(c.devices[0].via, DEVICE_VIA_FUSE);
	assert_int_equal(c.devices[0].mode, 0440);
}

static void
every_key_of_a_listener_too(void **state)
{
	const struct egd_listen_config *hosts, *guests;
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse(whole, strlen(whole), &c, &errors));
	assert_int_equal(c.listen_count, 2);
	hosts = &c.listens[0];
	guests = &c.listens[1];
	assert_string_equal(hosts->name, "hosts");
	assert_string_equal(hosts->address, "tls:[::]:8888");
	assert_string_equal(hosts->allow, "10.0.0.0/8, 2001:db8::/32");
	assert_string_equal(hosts->proxy_from, "10.0.0.1");
	assert_string_equal(hosts->tls.psk, "/etc/psk");
	assert_string_equal(hosts->tls.cert, "/etc/cert");
	assert_string_equal(hosts->tls.key, "/etc/key");
	assert_string_equal(hosts->tls.ca, "/etc/ca");
	assert_int_equal(hosts->rate, 65536);
	assert_int_equal(hosts->burst, 1024);
	assert_int_equal(hosts->weight, 100);
	assert_int_equal(hosts->max_clients, 9);
	assert_int_equal(hosts->idle_ms, 60000);
	assert_int_equal(hosts->greet, 64);
	assert_int_equal(guests->mode, 0600);
	assert_string_equal(guests->owner, "qemu:kvm");
	assert_int_equal(guests->weight, 1);
	assert_int_equal(guests->rate, 0);
	assert_int_equal(guests->greet, 0);
}

#define LISTEN(address) "[listen a]\nclass = direct\naddress = " address "\n"

static const char others[] = "[source far]\n"
			     "type = egd\n"
			     "address = tcp:h:1, unix:/x\n"
			     "class = expanded\n"
			     "trusted = no\n"
			     "credit = 3\n"
			     "policy = failover\n"
			     "read-ahead = 8KiB\n"
			     "timeout = 5s\n"
			     "[source near]\n"
			     "type = egd\n"
			     "address = unix:/y\n"
			     "class = direct\n"
			     "trusted = yes\n"
			     "policy = all\n"
			     "[source plain]\n"
			     "type = egd\n"
			     "address = unix:/z\n"
			     "[device random]\n"
			     "path = /dev/ekey-random\n"
			     "via = cuse\n"
			     "[pool]\n"
			     "reserve = 512\n"
			     "[kernel]\n"
			     "bytes = 32\n"
			     "interval = 5s\n"
			     "credit = yes\n"
			     "[agent]\n"
			     "address = tcp:127.0.0.1:7777\n"
			     "allow = 10.0.0.0/8\n";

static void
every_key_of_an_egd_server_too(void **state)
{
	const struct source_config *far, *near, *plain;
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse(others, strlen(others), &c, &errors));
	far = &c.sources[0];
	near = &c.sources[1];
	plain = &c.sources[2];
	assert_int_equal(far->type, SOURCE_EGD);
	assert_true(far->expanded);
	assert_int_equal(far->trust, SOURCE_TRUST_NO);
	assert_int_equal(far->credit, 3);
	assert_int_equal(far->policy, SOURCE_POLICY_FAILOVER);
	assert_int_equal(far->read_ahead, 8192);
	assert_int_equal(far->timeout_ms, 5000);
	assert_false(near->expanded);
	assert_int_equal(near->trust, SOURCE_TRUST_YES);
	assert_int_equal(near->policy, SOURCE_POLICY_ALL);
	assert_false(plain->expanded);
	assert_int_equal(plain->trust, SOURCE_TRUST_BY_ADDRESS);
	assert_int_equal(plain->credit, 7);
	assert_int_equal(plain->policy, SOURCE_POLICY_ALL);
	assert_int_equal(plain->read_ahead, 4096);
	assert_int_equal(plain->timeout_ms, 30000);
}

static void
every_key_of_the_kernel_and_of_the_agent_too(void **state)
{
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse(others, strlen(others), &c, &errors));
	assert_int_equal(c.devices[0].via, DEVICE_VIA_CUSE);
	assert_int_equal(c.pool_reserve, 512);
	assert_true(c.kernel_on);
	assert_int_equal(c.kernel.bytes, 32);
	assert_int_equal(c.kernel.interval_ms, 5000);
	assert_true(c.kernel.credit);
	assert_string_equal(c.agent, "tcp:127.0.0.1:7777");
	assert_string_equal(c.agent_allow, "10.0.0.0/8");
}

static void
the_longest_value_leaves_its_neighbour_alone(void **state)
{
	char text[64 + CONFIG_USER_MAX] = "[daemon]\nkeyring = /k\nuser = ";
	struct config c;
	struct config_errors errors;
	size_t len = strlen(text);

	(void)state;
	memset(text + len, 'u', CONFIG_USER_MAX - 1);
	assert_true(config_parse(text, len + CONFIG_USER_MAX - 1, &c, &errors));
	assert_int_equal(strlen(c.user), CONFIG_USER_MAX - 1);
	assert_string_equal(c.keyring, "/k");
	text[len + CONFIG_USER_MAX - 1] = 'u';
	assert_false(config_parse(text, len + CONFIG_USER_MAX, &c, &errors));
	assert_non_null(strstr(errors.at[0].text, ": at most 31 characters"));
}

/* One byte more or less is an error: see `bad`. */
static void
the_least_and_the_most_of_each_limit_are_good(void **state)
{
	static const char *const good[] = {
		"[source a]\ntype=ekey\naddress=/x\nh=1\n",
		"[source a]\ntype=ekey\naddress=/x\nh=8\n",
		"[source a]\ntype=ekey\naddress=usb\nexpect=1\n",
		"[source a]\ntype=ekey\naddress=usb\nexpect=32\n",
		"[source a]\ntype=egd\naddress=unix:/x\ncredit=0\n",
		"[source a]\ntype=egd\naddress=unix:/x\ncredit=8\n",
		"[source a]\ntype=egd\naddress=unix:/x\nread-ahead=256B\n",
		"[source a]\ntype=egd\naddress=unix:/x\nread-ahead=1MiB\n",
		"[source a]\ntype=egd\naddress=unix:/x\ntimeout=1s\n",
		"[source a]\ntype=egd\naddress=unix:/x\ntimeout=1h\n",
		"[device a]\npath=/x\nmode=0444\n",
		LISTEN("unix:/x") "mode=0666\n",
		LISTEN("unix:/x") "weight=1\n",
		LISTEN("unix:/x") "weight=100\n",
		LISTEN("unix:/x") "max-clients=1\n",
		LISTEN("unix:/x") "max-clients=65536\n",
		LISTEN("unix:/x") "greet=255\n",
		LISTEN("unix:/x") "rate=1\nburst=255\n",
		LISTEN("unix:/x") "idle=1ms\n",
		LISTEN("unix:/x") "idle=8760h\n",
		"[pool]\nsize=8KiB\n",
		"[pool]\nsize=1GiB\n",
		"[pool]\nreserve=256\n[kernel]\n",
		"[pool]\nreserve=1MiB\n[kernel]\n",
		"[kernel]\nbytes=16\ninterval=1s\n",
		"[kernel]\nbytes=256\ninterval=24h\n",
	};
	struct config c;
	struct config_errors errors;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!config_parse(good[i], strlen(good[i]), &c, &errors))
			fail_msg("%s: %s", good[i], errors.at[0].text);
}

static void
empty_file_has_defaults_and_publishes_nothing(void **state)
{
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse("", 0, &c, &errors));
	assert_string_equal(c.user, "");
	assert_string_equal(c.keyring, "/etc/ekey-random/keyring");
	assert_string_equal(c.control, "/run/ekey-random/control");
	assert_int_equal(c.control_mode, 0600);
	assert_int_equal(c.pool_size, 1 << 20);
	assert_int_equal(c.pool_reserve, 4096);
	assert_int_equal(c.source_count, 0);
	assert_int_equal(c.device_count, 0);
}

/* One error each, in that line, with that in its text. */
static const struct {
	const char *text;
	unsigned line;
	const char *error;
} bad[] = {
	{"[sauce]\nx = 1\n", 1, "unknown section [sauce]"},
	{"[]\n", 1, "unknown section []"},
	{"[source a]\ntype=egd\naddress=tls:h:1\n", 1, "tls: needs psk or ca"},
	{"[source a]\ntype=egd\naddress=unix:/a, tls:h:1\n", 1, "tls: needs psk or ca"},
	{"[source a]\ntype=egd\naddress=tls:h:1\nca=/a\nidentity=b\n", 1, "identity needs psk"},
	{"[source a]\ntype=egd\naddress=tls:h:1\nca=/a\nkey=/b\n", 1, "key needs cert"},
	{"[source a]\ntype=egd\naddress=tcp:h:1\npsk=/a\n", 1, "are for tls: only"},
	{"[source a]\ntype=egd\naddress=tls:h:1\nca=/a\npsk=a\n", 5, "expected an absolute path"},
	{"[source a]\ntype=egd\naddress=tcp:h\n", 3, "expected HOST:PORT"},
	{"[source a]\ntype=egd\naddress=vsock:h:1\n", 3, "expected CID:PORT"},
	{"\n[daemon x]\n", 2, "[daemon] cannot have a name"},
	{"[source]\n", 1, "expected [source NAME]"},
	{"[source a b]\n", 1, "expected [source NAME]"},
	{"[source a/b]\n", 1, "expected [source NAME]"},
	{"[source abcdefghijabcdefghijabcdefghijab]\n", 1, "expected [source NAME]"},
	{"[pool]\n[daemon]\n[pool]\n", 3, "the same section begins in line 1"},
	{"[source a]\ntype=ekey\naddress=/x\n[source a]\n", 4, "the same section begins in line 1"},
	{"[pool\n", 1, "expected [KIND] or [KIND NAME]"},
	{"[pool] size = 8KiB\n", 1, "expected [KIND] or [KIND NAME]"},
	{"size = 8KiB\n[pool]\n", 1, "key 'size' before the first [section]"},
	{"[pool]\nsize\n", 2, "expected a [section], key = value, or # comment"},
	{"[pool]\nSize = 8KiB\n", 2, "unknown key 'Size' in [pool]"},
	{"[pool]\npath = /x\n", 2, "unknown key 'path' in [pool]"},
	{"[daemon]\nadmin-group = wheel\n", 2, "unknown key 'admin-group' in [daemon]"},
	{"[pool]\nsize = 8KiB\n\nsize = 8KiB\n", 4, "size = 8KiB: given twice"},
	{"[pool]\nsize =\n", 2, "size = : expected a value"},
	{"[pool]\nsize = 8KiB # eight\n", 2, "a comment behind a value must start with ;"},
	{"[pool]\nsize = 8KB\n", 2, "unknown unit 'KB': use B, KiB, MiB or GiB"},
	{"[pool]\nsize = 8kib\n", 2, "unknown unit 'kib': use B, KiB, MiB or GiB"},
	{"[pool]\nsize = 8KiB/s\n", 2, "unknown unit 'KiB/s': use B, KiB"},
	{"[pool]\nsize = KiB\n", 2, "must be 8KiB..1GiB"},
	{"[pool]\nreserve = 255\n", 2, "must be 256B..1MiB"},
	{"[pool]\nreserve = 2MiB\n", 2, "must be 256B..1MiB"},
	{"[pool]\nsize = 8191\n", 2, "must be 8KiB..1GiB"},
	{"[pool]\nsize = 1025MiB\n", 2, "must be 8KiB..1GiB"},
	{"[pool]\nsize = -1\n", 2, "must be 8KiB..1GiB"},
	{"[daemon]\nuser = a b\n", 2, "expected a user name"},
	{"[daemon]\nuser = -x\n", 2, "expected a user name"},
	{"[daemon]\nuser = abcdefghijabcdefghijabcdefghijab\n", 2, "at most 31 characters"},
	{"[daemon]\nkeyring = keyring\n", 2, "expected an absolute path"},
	{"[daemon]\ncontrol = run/control\n", 2, "expected an absolute path"},
	{"[daemon]\ncontrol-mode = 0777\n", 2, "must be an octal mode within 0666"},
	{"[daemon]\ncontrol-mode = rw\n", 2, "must be an octal mode within 0666"},
	{"[daemon]\ncontrol-mode = 00600\n", 2, "must be an octal mode within 0666"},
	{"[source a]\ntype = ekey\n", 1, "[source] lacks 'address'"},
	{"[source a]\naddress = /dev/ttyACM0\n", 1, "[source] lacks 'type'"},
	{"[source a]\ntype = key\naddress = /x\n", 2, "must be ekey, egd or raw"},
	{"[source a]\ntype=ekey\naddress = usbkey\n", 3, "/dev/... of a tty, or unix:/PATH"},
	{"[source a]\ntype=ekey\naddress = usb:\n", 3, "has 16 characters"},
	{"[source a]\ntype=ekey\naddress = usb:a b\n", 3, "has 16 characters"},
	{"[source a]\ntype=ekey\naddress = usb:20090103\n", 3, "`lsusb -v -d 20df:` shows it"},
	{"[source a]\ntype=ekey\naddress = usb:M_tBF1IwMQA+AAAA\n", 3, "a link's name has _ for /"},
	{"[source a]\ntype=ekey\naddress = usb\nexpect = 0\n", 4, "must be 1..32"},
	{"[source a]\ntype=ekey\naddress = usb\nexpect = 33\n", 4, "must be 1..32"},
	{"[source a]\ntype=ekey\naddress = usb:M/tBF1IwMQA+AAAA\nexpect = 2\n", 1,
	 "one address is one key"},
	{"[source a]\ntype=ekey\naddress=usb\n[source b]\ntype=ekey\naddress=usb\n", 4,
	 "already has usb"},
	{"[source a]\ntype=ekey\naddress = unix:key\n", 3, "expected an absolute path after unix:"},
	{"[source a]\ntype=ekey\naddress=/x\nh = 0\n", 4, "must be 1..8"},
	{"[source a]\ntype=ekey\naddress=/x\nh = 9\n", 4, "must be 1..8"},
	{"[source a]\ntype=ekey\naddress=/x\nh = 7.5\n", 4, "must be 1..8"},
	{"[source a]\ntype=egd\naddress=unix:/x, unix:y\n", 3, "expected an absolute path"},
	{"[source a]\ntype=egd\naddress=unix:/x,\n", 3, "/dev/... of a tty, or unix:/PATH"},
	{"[source a]\ntype=egd\naddress=usb\n", 1, "no EGD server is on USB"},
	{"[source a]\ntype=egd\naddress=usb:M/tBF1IwMQA+AAAA\n", 1, "no EGD server is on USB"},
	{"[source a]\ntype=egd\naddress=unix:/x\nexpect=1\n", 1, "expect is for type = ekey"},
	{"[source a]\ntype=egd\naddress=unix:/x\npolicy=failover\n", 1,
	 "policy needs several addresses"},
	{"[source a]\ntype=egd\naddress=unix:/x,unix:/y\npolicy=any\n", 4,
	 "must be all or failover"},
	{"[source a]\ntype=egd\naddress=unix:/x\nclass=raw\n", 4, "must be direct or expanded"},
	{"[source a]\ntype=egd\naddress=unix:/x\ntrusted=maybe\n", 4, "must be yes or no"},
	{"[source a]\ntype=egd\naddress=unix:/x\ncredit=9\n", 4, "must be 0..8"},
	{"[source a]\ntype=egd\naddress=unix:/x\nread-ahead=255\n", 4, "must be 256B..1MiB"},
	{"[source a]\ntype=egd\naddress=unix:/x\nread-ahead=2MiB\n", 4, "must be 256B..1MiB"},
	{"[source a]\ntype=egd\naddress=unix:/x\nread-ahead=1MB\n", 4, "unknown unit 'MB'"},
	{"[source a]\ntype=egd\naddress=unix:/x\ntimeout=30\n", 4,
	 "expected a unit: ms, s, min or h"},
	{"[source a]\ntype=egd\naddress=unix:/x\ntimeout=2h\n", 4, "must be 1s..1h"},
	{"[source a]\ntype=egd\naddress=unix:/x\ntimeout=500ms\n", 4, "must be 1s..1h"},
	{"[source a]\ntype=ekey\naddress=unix:/x\ntrusted=no\n", 1,
	 "trusted is for type = egd or raw"},
	{"[source a]\ntype=ekey\naddress=unix:/x,unix:/y\n", 1, "has one address"},
	{"[source a]\ntype=ekey\naddress=tcp:h:1\n", 1, "an Entropy Key is at usb"},
	{"[source a]\ntype=ekey\naddress=vsock:3:1\n", 1, "an Entropy Key is at usb"},
	{"[source a]\ntype=ekey\naddress=xen\n", 1, "an Entropy Key is at usb"},
	{"[source a]\ntype=egd\naddress=unix:/x,unix:/y\n[source b]\ntype=egd\n"
	 "address=unix:/z,unix:/y\n",
	 4, "[source a] already has unix:/y"},
	{"[source b]\ntype=egd\naddress=unix:/y,unix:/x\n[listen l]\nclass=direct\n"
	 "address=unix:/x\n",
	 1, "[source b]: unix:/x is a listener of our own"},
	{"[listen l]\nclass=direct\naddress=tcp:[::]:88\nallow=::/0\n[source b]\ntype=egd\n"
	 "address=unix:/x,tcp:127.0.0.1:88\n",
	 5, "[source b]: tcp:[::]:88 is a listener of our own"},
	{"[listen l]\nclass=direct\naddress=tcp:[::1]:88\n[source b]\ntype=egd\n"
	 "address=tcp:[0:0::1]:88\n",
	 4, "[source b]: tcp:[::1]:88 is a listener of our own"},
	{"[source b]\ntype=egd\naddress=unix:/y,unix:/x\n[device a]\npath=/x\n", 4,
	 "its path /x is also the address of a source"},
	{"[source a]\ntype=ekey\naddress=/x\n[source b]\ntype=ekey\naddress=/x\n", 4,
	 "[source a] already has /x"},
	{"[device a]\nclass = direct\n", 1, "[device] lacks 'path'"},
	{"[device a]\npath = random\n", 2, "expected an absolute path"},
	{"[device a]\npath = /x\nclass = expanded\n", 3, "must be direct"},
	{"[device a]\npath = /x\nvia = usb\n", 3, "must be auto, cuse or fuse"},
	{"[device a]\npath = /x\nmode = 0666\n", 3, "must be an octal mode within 0444"},
	{"[device a]\npath=/x\n[device b]\npath=/x\n", 3, "[device a] already has /x"},
	{"[device a]\npath=/x\n[source b]\ntype=ekey\naddress=/x\n", 1,
	 "[device a]: its path /x is also the address of a source"},
	{"[source b]\ntype=ekey\naddress=unix:/x\n[device a]\npath=/x\n", 4,
	 "its path /x is also the address of a source"},
	{"[daemon]\nkeyring=/x\n[device a]\npath=/x\n", 3, "is also the keyring"},
	{"[daemon]\ncontrol=/x\n[device a]\npath=/x\n", 3, "is also the control socket"},
	{"[agent]\naddress = tcp:0.0.0.0:7777\n", 1, "[agent]: other machines can reach it"},
	{"[agent]\naddress = tcp:0.0.0.0:7777\nallow = 10.0.0.1/8\n", 3, "allow = 10.0.0.1/8: "},
	{"[agent]\n", 1, "[agent] lacks 'address'"},
	{"[listen a]\nclass = direct\n", 1, "[listen] lacks 'address'"},
	{LISTEN("egd:/x"), 3, "systemd:NAME or xen:DIRECTORY"},
	{LISTEN("xen:run"), 3, "expected an absolute path"},
	{LISTEN("xen:/x") "allow = 10.0.0.0/8\n", 1, "allow and proxy-from are for networks"},
	{LISTEN("unix:x"), 3, "expected an absolute path"},
	{LISTEN("tcp:localhost:80"), 3, "address = tcp:localhost:80: "},
	{LISTEN("tcp:127.0.0.1:0"), 3, "the port must be 1 to 65535"},
	{LISTEN("vsock:x"), 3, "address = vsock:x: "},
	{LISTEN("systemd:"), 3, "expected a FileDescriptorName="},
	{LISTEN("systemd:ekey.a"), 3, "names that begin with ekey. are the daemon's own"},
	{LISTEN("tcp:192.0.2.1:80"), 1, "restrict clients with allow"},
	{LISTEN("tcp:[::]:80"), 1, "restrict clients with allow"},
	{LISTEN("tls:0.0.0.0:80") "cert = /c\n", 1, "restrict clients with allow"},
	{LISTEN("tls:0.0.0.0:80"), 1, "tls: needs psk, or cert"},
	{LISTEN("tls:0.0.0.0:80") "psk = /p\nca = /c\n", 1, "key and ca need cert"},
	{LISTEN("tcp:127.0.0.1:80") "psk = /p\n", 1, "are for tls: and systemd: only"},
	{LISTEN("tcp:127.0.0.1:80") "owner = root\n", 1, "owner is for unix: only"},
	{LISTEN("unix:/x") "allow = 10.0.0.0/8\n", 1, "are for networks"},
	{LISTEN("vsock:80") "proxy-from = 10.0.0.1\n", 1, "are for networks"},
	{LISTEN("vsock:80") "proxy-from = root\n", 1, "proxy-from = USER is for unix:"},
	{LISTEN("tcp:127.0.0.1:80") "proxy-from = root\n", 1, "proxy-from = USER is for unix:"},
	{LISTEN("unix:/x") "proxy-from = 127.0.0.1\n", 1, "unix: has proxy-from = USER"},
	{LISTEN("unix:/x") "proxy-from = no-such-user-here\n", 4, "or a user of this machine"},
	{LISTEN("tcp:127.0.0.1:80") "proxy-from = 10.0.0.0/33\n", 4, "proxy-from = 10.0.0.0/33: "},
	{LISTEN("unix:/x") "mode = 0777\n", 4, "must be an octal mode within 0666"},
	{LISTEN("tcp:[::]:80") "allow = 10.0.0.1/8\n", 4, "allow = 10.0.0.1/8: "},
	{LISTEN("unix:/x") "psk = p\n", 4, "expected an absolute path"},
	{LISTEN("unix:/x") "rate = 0\n", 4, "must be 1B..1024GiB"},
	{LISTEN("unix:/x") "rate = 1KiB/s\n", 4, "unknown unit 'KiB/s': use B, KiB"},
	{LISTEN("unix:/x") "rate = 1KB/s\n", 4, "unknown unit 'KB/s': use B, KiB, MiB or GiB"},
	{LISTEN("unix:/x") "rate = 1KiB\nburst = 1K\n", 5, "unknown unit"},
	{LISTEN("unix:/x") "rate = 1\nburst = 254\n", 5, "must be 255B..1024GiB"},
	{LISTEN("unix:/x") "burst = 255\n", 1, "burst needs rate"},
	{LISTEN("unix:/x") "weight = 101\n", 4, "must be 1..100"},
	{LISTEN("unix:/x") "weight = 0\n", 4, "must be 1..100"},
	{LISTEN("unix:/x") "max-clients = 0\n", 4, "must be 1..65536"},
	{LISTEN("unix:/x") "greet = 256\n", 4, "must be 0..255B"},
	{LISTEN("unix:/x") "idle = 0s\n", 4, "must be 1ms..8760h"},
	{LISTEN("unix:/x") "idle = 1d\n", 4, "unknown unit 'd': use ms, s, min or h"},
	{LISTEN("unix:/x") "max-clients = 65537\n", 4, "must be 1..65536"},
	{LISTEN("unix:/x") "idle = 8761h\n", 4, "must be 1ms..8760h"},
	{LISTEN("unix:/x") "mode = 0668\n", 4, "must be an octal mode within 0666"},
	{"[kernel]\ninterval = 60\n", 2, "expected a unit: ms, s, min or h"},
	{"[kernel]\ninterval = 999ms\n", 2, "must be 1s..24h"},
	{"[kernel]\ninterval = 25h\n", 2, "must be 1s..24h"},
	{"[kernel]\nbytes = 15\n", 2, "must be 16B..256B"},
	{"[kernel]\nbytes = 257\n", 2, "must be 16B..256B"},
	{"[kernel]\ncredit = maybe\n", 2, "must be yes or no"},
	{LISTEN("unix:/x") "[listen b]\nclass = direct\naddress = unix:/x\n", 4,
	 "[listen a] already has unix:/x"},
	{LISTEN("unix:/x") "[device a]\npath=/x\n", 4, "is also of a [listen] section"},
	{"[device a]\npath = /x\ty\n", 2, "cannot contain a tab"},
	{"[pool]\nsize = 8KiB\x01\n", 2, "control character 0x01"},
	{"[pool]\n\xef\xbb\xbf[kernel]\n", 2, "a byte-order mark can begin the file"},
	{"[pool]\n \xef\xbb\xbfsize = 8KiB\n", 2, "a byte-order mark can begin the file"},
	{"\x7f[pool]\n", 1, "control character 0x7f"},
	{"[pool]\rsize = 8KiB\n", 1, "control character 0x0d"},
};

static void
each_error_is_found_in_its_line_and_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config c = {.pool_size = 4711};
		struct config_errors errors;

		if (config_parse(bad[i].text, strlen(bad[i].text), &c, &errors) ||
		    errors.count != 1 || errors.at[0].line != bad[i].line ||
		    strstr(errors.at[0].text, bad[i].error) == NULL)
			fail_msg("%s-> %zu errors, the first in line %u: %s; wanted 1 in line %u: "
				 "%s",
				 bad[i].text, errors.count, errors.at[0].line, errors.at[0].text,
				 bad[i].line, bad[i].error);
		assert_int_equal(c.pool_size, 4711);
	}
}

static void
a_byte_order_mark_before_the_first_section_is_passed_over(void **state)
{
	static const char text[] = "\xef\xbb\xbf[pool]\r\nsize = 8KiB\r\n";
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_true(config_parse(text, strlen(text), &c, &errors));
	assert_int_equal(c.pool_size, 8192);
	assert_true(config_parse(text, 3, &c, &errors));
	assert_false(config_parse(text, 2, &c, &errors));
}

static void
nul_byte_is_an_error(void **state)
{
	static const char text[] = "[pool]\nsize = 8KiB\0\n";
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_false(config_parse(text, sizeof(text) - 1, &c, &errors));
	assert_int_equal(errors.at[0].line, 2);
	assert_string_equal(errors.at[0].text, "control character 0x00");
}

static void
all_errors_are_collected_in_order(void **state)
{
	static const char text[] = "[pool]\nsize = 1\n[nix]\nx = 1\n[source a]\nh = 0\n";
	static const unsigned lines[] = {2, 3, 6, 5, 5}; /* what lacks is known at the end */
	struct config c;
	struct config_errors errors;

	(void)state;
	assert_false(config_parse(text, strlen(text), &c, &errors));
	assert_int_equal(errors.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(errors.at[i].line, lines[i]);
}

static void
more_errors_than_fit_are_counted(void **state)
{
	char text[(CONFIG_ERRORS_MAX + 5) * 2 + 1] = "";
	struct config c;
	struct config_errors errors;

	(void)state;
	for (int i = 0; i < CONFIG_ERRORS_MAX + 5; i++)
		strcat(text, "x\n");
	assert_false(config_parse(text, strlen(text), &c, &errors));
	assert_int_equal(errors.count, CONFIG_ERRORS_MAX + 5);
	assert_int_equal(errors.at[CONFIG_ERRORS_MAX - 1].line, CONFIG_ERRORS_MAX);
}

/* Writes "[KIND nN]" sections, `count` of them. */
static size_t
many_sections(char *text, const char *kind, const char *key, unsigned count)
{
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += (size_t)sprintf(text + len, "[%s n%u]\n%s = /%s%u\n%s", kind, i, key, kind,
				       i, strcmp(kind, "source") == 0 ? "type = ekey\n" : "");
	return len;
}

static void
sections_up_to_their_limit_are_taken_and_no_more(void **state)
{
	struct config c;
	struct config_errors errors;
	char text[4096];
	size_t len = many_sections(text, "source", "address", CONFIG_SOURCES_MAX);

	(void)state;
	len += many_sections(text + len, "device", "path", CONFIG_DEVICES_MAX);
	assert_true(config_parse(text, len, &c, &errors));
	assert_int_equal(c.source_count, CONFIG_SOURCES_MAX);
	assert_int_equal(c.device_count, CONFIG_DEVICES_MAX);
	assert_string_equal(c.devices[CONFIG_DEVICES_MAX - 1].name, "n15");
	len = many_sections(text, "source", "address", CONFIG_SOURCES_MAX + 1);
	assert_false(config_parse(text, len, &c, &errors));
	assert_int_equal(errors.count, 1);
	assert_int_equal(errors.at[0].line, 3 * CONFIG_SOURCES_MAX + 1);
	assert_string_equal(errors.at[0].text, "at most 16 [source] sections");
}

static void
longest_line_is_whole_and_one_more_byte_an_error(void **state)
{
	struct config c;
	struct config_errors errors;
	char text[CONFIG_LINE_MAX + 32];
	int len = sprintf(text, "[daemon]\nkeyring = /%0*d\n", CONFIG_LINE_MAX - 11, 0);

	(void)state;
	assert_true(config_parse(text, (size_t)len, &c, &errors));
	assert_int_equal(strlen(c.keyring), CONFIG_LINE_MAX - 10);
	len = sprintf(text, "[daemon]\nkeyring = /%0*d\n", CONFIG_LINE_MAX - 10, 0);
	assert_false(config_parse(text, (size_t)len, &c, &errors));
	assert_int_equal(errors.at[0].line, 2);
	assert_string_equal(errors.at[0].text, "a line can have at most 190 bytes");
}

static void
truncated_anywhere_it_is_good_or_an_error_but_never_read_beyond(void **state)
{
	(void)state;
	for (size_t len = 0; len <= strlen(whole); len++) {
		struct config c;
		struct config_errors errors;
		bool good = config_parse(whole, len, &c, &errors);

		assert_int_equal(good, errors.count == 0);
		for (size_t i = 0; i < errors.count; i++)
			assert_in_range(errors.at[i].line, 1, 48);
	}
}

static void
each_number_fits_into_its_field(void **state)
{
	(void)state;
	for (const struct config_key *key = config_keys; key->section != NULL; key++) {
		uint64_t most = key->size < 8 ? (UINT64_C(1) << 8 * key->size) - 1 : UINT64_MAX;

		if (key->type == CONFIG_TEXT)
			continue;
		assert_true(key->size == 0 || key->size == 1 || key->size == 4 || key->size == 8);
		assert_true(key->min <= key->max && key->max <= most && key->preset <= most);
	}
}

static void
a_key_is_in_the_table_once(void **state)
{
	(void)state;
	for (const struct config_key *key = config_keys; key->section != NULL; key++)
		assert_ptr_equal(config_key_find(key->section, key->name), key);
}

/* Reads the manual page; returns its text with a NUL, to be freed. */
static char *
read_page(void)
{
	FILE *file = fopen("doc/man/ekey-random.conf.5", "r");
	char *text = calloc(1, PAGE_MAX);

	assert_non_null(file);
	assert_non_null(text);
	assert_in_range(fread(text, 1, PAGE_MAX - 1, file), 1, PAGE_MAX - 2);
	fclose(file);
	return text;
}

/* Copies what a page says of a key: from its name to the next one. */
static void
paragraph_of(const char *page, const struct config_key *key, char ret[static PAGE_MAX])
{
	char head[64], *end;
	const char *at;

	ret[0] = '\0';
	snprintf(head, sizeof(head), "\n.SS [%s", key->section);
	at = strstr(page, head);
	if (at == NULL)
		return;
	strcpy(ret, at + 1);
	end = strstr(ret, "\n.S");
	if (end != NULL)
		*end = '\0';
	snprintf(head, sizeof(head), "\n.TP\n.B %s\n", key->name);
	at = strstr(ret, head);
	if (at == NULL) {
		ret[0] = '\0';
		return;
	}
	memmove(ret, at + 4, strlen(at + 4) + 1);
	end = strstr(ret, "\n.TP\n");
	if (end != NULL)
		*end = '\0';
}

/* Writes a range as the page has it: "1 to 100". */
static void
range_in_words(const struct config_key *key, char ret[static CONFIG_RANGE_MAX])
{
	char range[CONFIG_RANGE_MAX], *dots;

	config_key_range(key, range);
	dots = strstr(range, "..");
	if (key->type == CONFIG_MODE)
		snprintf(ret, CONFIG_RANGE_MAX, "within %04o", (unsigned)key->max);
	else if (dots != NULL)
		snprintf(ret, CONFIG_RANGE_MAX, "%.*s to %s", (int)(dots - range), range, dots + 2);
	else
		ret[0] = '\0';
}

static void
the_manual_page_has_each_key_with_its_range_and_default(void **state)
{
	char *page = read_page(), *paragraph = calloc(1, PAGE_MAX);
	char range[CONFIG_RANGE_MAX], preset[CONFIG_RANGE_MAX + 16] = "Default ";

	(void)state;
	for (const struct config_key *key = config_keys; key->section != NULL; key++) {
		paragraph_of(page, key, paragraph);
		if (paragraph[0] == '\0')
			fail_msg("[%s] %s is not in the page", key->section, key->name);
		range_in_words(key, range);
		config_key_preset(key, preset + strlen("Default "));
		if (strstr(paragraph, range) == NULL)
			fail_msg("[%s] %s: not '%s'", key->section, key->name, range);
		if (preset[strlen("Default ")] != '\0' && strstr(paragraph, preset) == NULL)
			fail_msg("[%s] %s: not '%s'", key->section, key->name, preset);
		for (const struct num_word *at = key->words; key->type == CONFIG_WORD && at->name;
		     at++)
			if (strstr(paragraph, at->name) == NULL)
				fail_msg("[%s] %s: not '%s'", key->section, key->name, at->name);
		if (key->required != NULL && strstr(paragraph, "Required.") == NULL)
			fail_msg("[%s] %s: not 'Required.'", key->section, key->name);
	}
	free(paragraph);
	free(page);
}

/* One changed byte of any key makes another section of it. */
static void
sections_differ_by_any_key(void **state)
{
	static const struct config none;

	(void)state;
	for (const struct config_key *key = config_keys; key->section != NULL; key++) {
		struct config other = none;

		assert_true(config_equal(key->section, &none, &other));
		if (key->size == 0)
			continue;
		((char *)&other)[key->offset] ^= 1;
		assert_false(config_equal(key->section, &none, &other));
	}
}

static void
sections_differ_by_their_name(void **state)
{
	static const struct device_config a = {.name = "a"}, b = {.name = "b"};

	(void)state;
	assert_true(config_equal("device", &a, &a));
	assert_false(config_equal("device", &a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_arrives_where_it_belongs),
		cmocka_unit_test(every_key_of_an_egd_server_too),
		cmocka_unit_test(every_key_of_the_kernel_and_of_the_agent_too),
		cmocka_unit_test(the_longest_value_leaves_its_neighbour_alone),
		cmocka_unit_test(the_least_and_the_most_of_each_limit_are_good),
		cmocka_unit_test(every_key_of_a_listener_too),
		cmocka_unit_test(empty_file_has_defaults_and_publishes_nothing),
		cmocka_unit_test(each_error_is_found_in_its_line_and_changes_nothing),
		cmocka_unit_test(a_byte_order_mark_before_the_first_section_is_passed_over),
		cmocka_unit_test(nul_byte_is_an_error),
		cmocka_unit_test(all_errors_are_collected_in_order),
		cmocka_unit_test(more_errors_than_fit_are_counted),
		cmocka_unit_test(sections_up_to_their_limit_are_taken_and_no_more),
		cmocka_unit_test(longest_line_is_whole_and_one_more_byte_an_error),
		cmocka_unit_test(truncated_anywhere_it_is_good_or_an_error_but_never_read_beyond),
		cmocka_unit_test(a_key_is_in_the_table_once),
		cmocka_unit_test(each_number_fits_into_its_field),
		cmocka_unit_test(the_manual_page_has_each_key_with_its_range_and_default),
		cmocka_unit_test(sections_differ_by_any_key),
		cmocka_unit_test(sections_differ_by_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
