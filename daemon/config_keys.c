/* SPDX-License-Identifier: MIT */
#include "daemon/config_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/protocol.h"
#include "daemon/haproxy.h"
#include "egd/acl.h"
#include "egd/egd_wire.h"
#include "egd/server/listener.h"
#include "lib/address.h"
#include "pool/health.h"
#include "pool/token_bucket.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define HOUR_MS UINT64_C(3600000)

/* ---- texts ---- */

static const char *
check_path(const char *value)
{
	return value[0] == '/' ? NULL : "expected an absolute path";
}

static const char *
check_user(const char *value)
{
	bool good = value[0] != '-' && value[strspn(value, CONFIG_NAME_CHARS)] == '\0';

	return good ? NULL : "expected a user name";
}

static const char *
check_agent(const char *value)
{
	struct address address;

	if (strncmp(value, HAPROXY_PREFIX, strlen(HAPROXY_PREFIX)) != 0)
		return "expected tcp:ADDRESS:PORT";
	return address_parse_inet(value + strlen(HAPROXY_PREFIX), &address);
}

static const char *
check_networks(const char *value)
{
	struct egd_acl networks;

	return egd_acl_parse(value, &networks);
}

static const char *
check_proxies(const char *value)
{
	struct egd_proxies proxies;

	return egd_proxies_parse(value, &proxies);
}

/* ---- the table ---- */

static const struct num_word classes[] = {{"direct", false}, {"expanded", true}, {NULL, 0}};
static const struct num_word only_direct[] = {{"direct", 0}, {NULL, 0}};
static const struct num_word trusts[] = {
	{"yes", SOURCE_TRUST_YES}, {"no", SOURCE_TRUST_NO}, {NULL, 0}};
static const struct num_word policies[] = {
	{"all", SOURCE_POLICY_ALL}, {"failover", SOURCE_POLICY_FAILOVER}, {NULL, 0}};
static const struct num_word vias[] = {
	{"auto", DEVICE_VIA_AUTO}, {"cuse", DEVICE_VIA_CUSE}, {"fuse", DEVICE_VIA_FUSE}, {NULL, 0}};
static const struct num_word yes_or_no[] = {{"yes", true}, {"no", false}, {NULL, 0}};

#define IN(type, field) offsetof(struct type, field), sizeof(((struct type *)NULL)->field)
#define DAEMON(field) IN(config, field)
#define SOURCE(field) IN(source_config, field)
#define DEVICE(field) IN(device_config, field)
#define LISTEN(field) IN(egd_listen_config, field)
#define NOWHERE 0, 0

#define TEXT(how) CONFIG_TEXT, .check = (how)
#define NUMBER(least, most, otherwise) \
	CONFIG_NUMBER, .min = (least), .max = (most), .preset = (otherwise)
#define SIZE(least, most, otherwise) NUMBER(least, most, otherwise), .words = num_sizes
#define TIME(least, most, otherwise) NUMBER(least, most, otherwise), .words = num_times
#define WORD(list) CONFIG_WORD, .words = (list)
#define MODE(bits, otherwise) CONFIG_MODE, .max = (bits), .preset = (otherwise)

const struct config_key config_keys[] = {
	{"daemon", "user", DAEMON(user), TEXT(check_user)},
	{"daemon", "keyring", DAEMON(keyring), TEXT(check_path),
	 .preset_text = "/etc/ekey-random/keyring"},
	{"daemon", "control", DAEMON(control), TEXT(check_path), .preset_text = CTL_SOCKET_PATH},
	{"daemon", "control-mode", DAEMON(control_mode), MODE(0666, 0600)},

	/* ekeyd's: six minutes of one key. It is locked memory: more than 1 GiB is a mistake. */
	{"pool", "size", DAEMON(pool_size), SIZE(POOL_SIZE_MIN, GIB, MIB)},
	/* 64 feeds of the kernel: an hour without a source. */
	{"pool", "reserve", DAEMON(pool_reserve), SIZE(POOL_GATHER_MAX, MIB, 4 * KIB)},

	{"kernel", "bytes", DAEMON(kernel.bytes),
	 SIZE(KERNEL_BYTES_MIN, KERNEL_BYTES_MAX, KERNEL_BYTES_DEFAULT)},
	{"kernel", "interval", DAEMON(kernel.interval_ms),
	 TIME(KERNEL_INTERVAL_MIN_MS, KERNEL_INTERVAL_MAX_MS, KERNEL_INTERVAL_DEFAULT_MS)},
	{"kernel", "credit", DAEMON(kernel.credit), WORD(yes_or_no)},

	{"agent", "address", DAEMON(agent), TEXT(check_agent),
	 .required = "where HAProxy's agent-check connects: tcp:ADDRESS:PORT"},
	{"agent", "allow", DAEMON(agent_allow), TEXT(check_networks)},

	{"source", "type", SOURCE(type), WORD(source_types),
	 .required = "ekey, an Entropy Key; egd, an EGD server; or raw, a device, FIFO or socket"},
	{"source", "address", SOURCE(address), TEXT(source_addresses_error),
	 .required = "usb, usb:SERIAL, the path of a tty or device, or unix:PATH; of an EGD server "
		     "also "
		     "tcp:HOST:PORT, tls:HOST:PORT, vsock:CID:PORT or tty:PATH"},
	{"source", "h", SOURCE(h), NUMBER(HEALTH_H_MIN, HEALTH_H_MAX, HEALTH_H_DEFAULT)},
	{"source", "credit", SOURCE(credit), NUMBER(0, SOURCE_CREDIT_MAX, SOURCE_CREDIT_DEFAULT)},
	{"source", "expect", SOURCE(expect), NUMBER(1, SOURCES_MAX, 0), .of_type = "ekey"},
	{"source", "class", SOURCE(expanded), WORD(classes), .of_type = "egd"},
	{"source", "trusted", SOURCE(trust), WORD(trusts), .of_type = "egd or raw"},
	{"source", "policy", SOURCE(policy), WORD(policies), .of_type = "egd"},
	{"source", "read-ahead", SOURCE(read_ahead),
	 SIZE(SOURCE_READ_AHEAD_MIN, SOURCE_READ_AHEAD_MAX, SOURCE_READ_AHEAD_DEFAULT),
	 .of_type = "egd"},
	{"source", "timeout", SOURCE(timeout_ms),
	 TIME(SOURCE_TIMEOUT_MIN_MS, SOURCE_TIMEOUT_MAX_MS, SOURCE_TIMEOUT_DEFAULT_MS),
	 .of_type = "egd or raw"},
	{"source", "psk", SOURCE(tls.psk), TEXT(check_path)},
	{"source", "identity", SOURCE(tls.identity), TEXT(NULL)},
	{"source", "ca", SOURCE(tls.ca), TEXT(check_path)},
	{"source", "cert", SOURCE(tls.cert), TEXT(check_path)},
	{"source", "key", SOURCE(tls.key), TEXT(check_path)},

	{"device", "path", DEVICE(path), TEXT(check_path),
	 .required = "the path that readers open, for example /dev/ekey-random"},
	{"device", "class", NOWHERE, WORD(only_direct)},
	{"device", "via", DEVICE(via), WORD(vias)},
	{"device", "mode", DEVICE(mode), MODE(0444, 0444)},

	{"listen", "address", LISTEN(address), TEXT(egd_listener_address_error),
	 .required = "where clients connect: unix:PATH, tcp:ADDRESS:PORT, tls:ADDRESS:PORT, "
		     "vsock:PORT, systemd:NAME or xen:DIRECTORY"},
	{"listen", "class", NOWHERE, WORD(only_direct)},
	{"listen", "allow", LISTEN(allow), TEXT(check_networks)},
	{"listen", "proxy-from", LISTEN(proxy_from), TEXT(check_proxies)},
	{"listen", "mode", LISTEN(mode), MODE(0666, 0660)},
	{"listen", "owner", LISTEN(owner), TEXT(NULL)},
	{"listen", "psk", LISTEN(tls.psk), TEXT(check_path)},
	{"listen", "cert", LISTEN(tls.cert), TEXT(check_path)},
	{"listen", "key", LISTEN(tls.key), TEXT(check_path)},
	{"listen", "ca", LISTEN(tls.ca), TEXT(check_path)},
	{"listen", "rate", LISTEN(rate), SIZE(1, TOKEN_BUCKET_RATE_MAX, 0)},
	{"listen", "burst", LISTEN(burst), SIZE(EGD_BURST_MIN, TOKEN_BUCKET_BURST_MAX, 0)},
	{"listen", "weight", LISTEN(weight), NUMBER(1, POOL_WEIGHT_MAX, 1)},
	{"listen", "max-clients", LISTEN(max_clients), NUMBER(1, EGD_CLIENTS_MAX, 512)},
	/* A QEMU whose connection is closed does not connect again before its guest starts. */
	{"listen", "idle", LISTEN(idle_ms), TIME(1, 8760 * HOUR_MS, 24 * HOUR_MS)},
	{"listen", "greet", LISTEN(greet), SIZE(0, EGD_LEN_MAX, 0)},
	{.section = NULL},
};

const struct config_key *
config_key_find(const char *section, const char *name)
{
	for (const struct config_key *key = config_keys; key->section != NULL; key++)
		if (strcmp(section, key->section) == 0 && strcmp(name, key->name) == 0)
			return key;
	return NULL;
}

/* ---- messages ---- */

/* Writes "B, KiB, MiB or GiB". */
static void
list_words(const struct num_word *words, char ret[static CONFIG_RANGE_MAX])
{
	size_t used = 0;

	ret[0] = '\0';
	for (const struct num_word *at = words; at->name != NULL; at++) {
		const char *between = used == 0 ? "" : at[1].name == NULL ? " or " : ", ";

		if (at->name[0] != '\0')
			used += (size_t)snprintf(ret + used, CONFIG_RANGE_MAX - used, "%s%s",
						 between, at->name);
	}
}

/* Writes a number in the largest unit that leaves no rest: "4KiB". */
static int
quantity(const struct config_key *key, uint64_t n, char *ret, size_t size)
{
	const struct num_word *unit = NULL;

	for (const struct num_word *at = key->words; at != NULL && at->name != NULL; at++)
		if (unit == NULL || n % at->value == 0)
			unit = at;
	if (unit == NULL)
		return snprintf(ret, size, "%" PRIu64, n);
	return snprintf(ret, size, "%" PRIu64 "%s", n / unit->value, n == 0 ? "" : unit->name);
}

void
config_key_range(const struct config_key *key, char ret[static CONFIG_RANGE_MAX])
{
	int len;

	ret[0] = '\0';
	if (key->type == CONFIG_WORD) {
		list_words(key->words, ret);
	} else if (key->type == CONFIG_MODE) {
		snprintf(ret, CONFIG_RANGE_MAX, "an octal mode within %04o", (unsigned)key->max);
	} else if (key->type == CONFIG_NUMBER) {
		len = quantity(key, key->min, ret, CONFIG_RANGE_MAX);
		len += snprintf(ret + len, CONFIG_RANGE_MAX - (size_t)len, "..");
		quantity(key, key->max, ret + len, CONFIG_RANGE_MAX - (size_t)len);
	}
}

void
config_key_preset(const struct config_key *key, char ret[static CONFIG_RANGE_MAX])
{
	ret[0] = '\0';
	if (key->preset_text != NULL)
		snprintf(ret, CONFIG_RANGE_MAX, "%s", key->preset_text);
	else if (key->preset != 0 && key->type == CONFIG_MODE)
		snprintf(ret, CONFIG_RANGE_MAX, "%04o", (unsigned)key->preset);
	else if (key->preset != 0)
		quantity(key, key->preset, ret, CONFIG_RANGE_MAX);
}

/* ---- values ---- */

static bool
parse_mode(const char *value, uint64_t allowed, uint64_t *ret)
{
	uint64_t mode = 0;

	if (strlen(value) > 4 || value[strspn(value, "01234567")] != '\0')
		return false;
	for (const char *at = value; *at != '\0'; at++)
		mode = mode << 3 | (uint64_t)(*at - '0');
	*ret = mode;
	return (mode & ~allowed) == 0;
}

static bool
parse_word(const char *value, const struct num_word *words, uint64_t *ret)
{
	while (words->name != NULL && strcmp(value, words->name) != 0)
		words++;
	*ret = words->value;
	return words->name != NULL;
}

static bool
parse_number(const struct config_key *key, const char *value, uint64_t *ret)
{
	switch (key->type) {
	case CONFIG_WORD:
		return parse_word(value, key->words, ret);
	case CONFIG_MODE:
		return parse_mode(value, key->max, ret);
	default:
		return (key->words != NULL ? num_parse_unit(value, key->words, key->max, ret)
					   : num_parse(value, key->max, ret)) &&
		       *ret >= key->min;
	}
}

/* Says what is wrong with the unit behind a number's digits; false: nothing is. */
static bool
has_unit_error(const struct config_key *key, const char *value,
	       char ret[static CONFIG_ERROR_TEXT_MAX])
{
	size_t digits = strspn(value, "0123456789");
	char units[CONFIG_RANGE_MAX];
	uint64_t n;

	/* The last digit with its unit is small enough for each. */
	if (key->type != CONFIG_NUMBER || key->words == NULL || digits == 0 ||
	    num_parse_unit(value + digits - 1, key->words, UINT64_MAX, &n))
		return false;
	list_words(key->words, units);
	if (value[digits] == '\0')
		snprintf(ret, CONFIG_ERROR_TEXT_MAX, "expected a unit: %s", units);
	else
		snprintf(ret, CONFIG_ERROR_TEXT_MAX, "unknown unit '%.20s': use %s", value + digits,
			 units);
	return true;
}

static void
store(const struct config_key *key, void *object, uint64_t n)
{
	const uint8_t n8 = (uint8_t)n;
	const uint32_t n32 = (uint32_t)n;
	const void *from = key->size == sizeof(n8)    ? (const void *)&n8
			   : key->size == sizeof(n32) ? (const void *)&n32
						      : (const void *)&n;

	memcpy((char *)object + key->offset, from, key->size);
}

static bool
parse_text(const struct config_key *key, void *object, const char *value,
	   char ret_error[static CONFIG_ERROR_TEXT_MAX])
{
	const char *error = key->check != NULL ? key->check(value) : NULL;

	if (error != NULL)
		snprintf(ret_error, CONFIG_ERROR_TEXT_MAX, "%s", error);
	else if (strlen(value) >= key->size)
		snprintf(ret_error, CONFIG_ERROR_TEXT_MAX, "at most %zu characters", key->size - 1);
	else
		memcpy((char *)object + key->offset, value, strlen(value) + 1);
	return error == NULL && strlen(value) < key->size;
}

bool
config_key_parse(const struct config_key *key, void *object, const char *value,
		 char ret_error[static CONFIG_ERROR_TEXT_MAX])
{
	char range[CONFIG_RANGE_MAX];
	uint64_t n;

	if (key->type == CONFIG_TEXT)
		return parse_text(key, object, value, ret_error);
	if (parse_number(key, value, &n)) {
		store(key, object, n);
		return true;
	}
	if (!has_unit_error(key, value, ret_error)) {
		config_key_range(key, range);
		snprintf(ret_error, CONFIG_ERROR_TEXT_MAX, "must be %s", range);
	}
	return false;
}

/* ---- all keys of a section ---- */

/* Returns the next key of the section, from `key` on; NULL: there is none. */
static const struct config_key *
next_key(const char *section, const struct config_key *key)
{
	while (key->section != NULL && strcmp(key->section, section) != 0)
		key++;
	return key->section != NULL ? key : NULL;
}

void
config_keys_preset(const char *section, void *object)
{
	for (const struct config_key *key = config_keys; (key = next_key(section, key)) != NULL;
	     key++) {
		if (key->type != CONFIG_TEXT)
			store(key, object, key->preset);
		else if (key->preset_text != NULL)
			memcpy((char *)object + key->offset, key->preset_text,
			       strlen(key->preset_text) + 1);
	}
}

bool
config_keys_equal(const char *section, const void *a, const void *b)
{
	for (const struct config_key *key = config_keys; (key = next_key(section, key)) != NULL;
	     key++) {
		const char *field = (const char *)a + key->offset;
		const char *other = (const char *)b + key->offset;

		if (key->type == CONFIG_TEXT ? strcmp(field, other) != 0
					     : memcmp(field, other, key->size) != 0)
			return false;
	}
	return true;
}

void
config_keys_copy(const char *section, void *to, const void *from)
{
	for (const struct config_key *key = config_keys; (key = next_key(section, key)) != NULL;
	     key++)
		memcpy((char *)to + key->offset, (const char *)from + key->offset, key->size);
}
