/* SPDX-License-Identifier: MIT */
#include "daemon/config_source.h"

#include <string.h>

#include "base/address.h"
#include "base/num.h"
#include "pool/health.h"

/* Points *ret at the place of `value` in a list of words that ends with NULL. */
static bool
config_word(const char *value, const char *const words[], int *ret)
{
	for (int i = 0; words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

const char *
config_source_parse_type(void *field, size_t size, const char *value)
{
	static const char *const types[] = {[SOURCE_EKEY] = "ekey", [SOURCE_EGD] = "egd", NULL};
	int type;

	(void)size;
	if (!config_word(value, types, &type))
		return "ekey or egd is needed";
	*(enum source_type *)field = (enum source_type)type;
	return NULL;
}

const char *
config_source_parse_address(void *field, size_t size, const char *value)
{
	const char *error = source_addresses_error(value);

	if (error == NULL && strlen(value) >= size)
		error = "it is too long";
	if (error == NULL)
		memcpy(field, value, strlen(value) + 1);
	return error;
}

const char *
config_source_parse_h(void *field, size_t size, const char *value)
{
	uint64_t h;

	(void)size;
	if (!num_parse(value, HEALTH_H_MAX, &h) || h < HEALTH_H_MIN)
		return "1 to 8 bits per byte are possible";
	*(unsigned *)field = (unsigned)h;
	return NULL;
}

const char *
config_source_parse_credit(void *field, size_t size, const char *value)
{
	uint64_t bits;

	(void)size;
	if (!num_parse(value, SOURCE_CREDIT_MAX, &bits))
		return "0 to 8 bits per byte are possible";
	*(unsigned *)field = (unsigned)bits;
	return NULL;
}

const char *
config_source_parse_expect(void *field, size_t size, const char *value)
{
	uint64_t keys;

	(void)size;
	if (!num_parse(value, SOURCES_MAX, &keys) || keys == 0)
		return "1 to 32 keys are possible";
	*(unsigned *)field = (unsigned)keys;
	return NULL;
}

const char *
config_source_parse_class(void *field, size_t size, const char *value)
{
	static const char *const classes[] = {"direct", "expanded", NULL};
	int class;

	(void)size;
	if (!config_word(value, classes, &class))
		return "direct or expanded is needed";
	*(bool *)field = class == 1;
	return NULL;
}

const char *
config_source_parse_trusted(void *field, size_t size, const char *value)
{
	static const char *const words[] = {"yes", "no", NULL};
	int word;

	(void)size;
	if (!config_word(value, words, &word))
		return "expected yes or no";
	*(enum source_trust *)field = word == 0 ? SOURCE_TRUST_YES : SOURCE_TRUST_NO;
	return NULL;
}

const char *
config_source_parse_policy(void *field, size_t size, const char *value)
{
	static const char *const policies[] = {
		[SOURCE_POLICY_ALL] = "all", [SOURCE_POLICY_FAILOVER] = "failover", NULL};
	int policy;

	(void)size;
	if (!config_word(value, policies, &policy))
		return "all or failover is needed";
	*(enum source_policy *)field = (enum source_policy)policy;
	return NULL;
}

const char *
config_source_parse_read_ahead(void *field, size_t size, const char *value)
{
	const char *error = num_size_unit_error(value);
	uint64_t bytes;

	(void)size;
	if (error != NULL)
		return error;
	if (!num_parse_size(value, SOURCE_READ_AHEAD_MAX, &bytes) || bytes < SOURCE_READ_AHEAD_MIN)
		return "a size from 256B to 1MiB is needed";
	*(size_t *)field = bytes;
	return NULL;
}

const char *
config_source_parse_timeout(void *field, size_t size, const char *value)
{
	const char *error = num_duration_unit_error(value);
	uint64_t wait_ms;

	(void)size;
	if (error != NULL)
		return error;
	if (!num_parse_duration(value, SOURCE_TIMEOUT_MAX_MS, &wait_ms) ||
	    wait_ms < SOURCE_TIMEOUT_MIN_MS)
		return "a time from 1s to 1h is needed";
	*(uint64_t *)field = wait_ms;
	return NULL;
}

/* ---- the whole section ---- */

static const char *
config_source_ekey_error(const struct source_config *s)
{
	if (s->expanded || s->trust != SOURCE_TRUST_BY_ADDRESS || s->policy != SOURCE_POLICY_ALL ||
	    s->read_ahead != SOURCE_READ_AHEAD_DEFAULT ||
	    s->timeout_ms != SOURCE_TIMEOUT_DEFAULT_MS)
		return "class, trusted, policy, read-ahead and timeout are for type = egd";
	if (source_address_is_list(s->address))
		return "one Entropy Key has one address";
	if (!source_address_can_be_key(s->address))
		return "an Entropy Key is at usb, usb:SERIAL, the path of a tty, or unix:PATH";
	if (s->expect > 1 && !source_address_is_any(s->address))
		return "one address is one key: expect is for address = usb";
	return NULL;
}

static const char *
config_source_egd_error(const struct source_config *s)
{
	if (source_address_is_usb(s->address))
		return "no EGD server is on USB";
	if (s->expect > 0)
		return "expect is for type = ekey";
	if (s->policy != SOURCE_POLICY_ALL && !source_address_is_list(s->address))
		return "policy needs several addresses, with commas between them";
	return NULL;
}

/* Files that nobody reads may be meant for a server that is written tcp: by mistake. */
static const char *
config_source_tls_error(const struct source_config *s)
{
	if (source_addresses_use_tls(s->address))
		return source_tls_error(&s->tls);
	return source_tls_is_empty(&s->tls) ? NULL
					    : "psk, identity, ca, cert and key are for tls: only";
}

const char *
config_source_error(const struct source_config *source)
{
	const char *error;

	if (source->address[0] == '\0')
		return NULL; /* said already */
	error = config_source_tls_error(source);
	if (error != NULL)
		return error;
	return source->type == SOURCE_EGD ? config_source_egd_error(source)
					  : config_source_ekey_error(source);
}

/* ---- our own listeners ---- */

static bool
config_is_any(const struct address *address)
{
	return address->any.sa_family == AF_INET ? address->in4.sin_addr.s_addr == htonl(INADDR_ANY)
						 : IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

/* "127.0.0.1:8888" is reached at "0.0.0.0:8888" too; "localhost:8888" is left to the answer. */
static bool
config_is_same_place(const char *host, const char *listener)
{
	char theirs[ADDRESS_TEXT_MAX], ours[ADDRESS_TEXT_MAX];
	struct address to, at;
	struct address_host where;

	if (address_parse_host(host, &where) != NULL || address_parse_inet(listener, &at) != NULL ||
	    !address_from_ip(where.host, where.port, &to))
		return false;
	if (config_is_any(&at) && address_is_loopback(&to))
		return at.in4.sin_port == to.in4.sin_port; /* at the same place in IPv6 */
	address_text(&to, theirs);
	address_text(&at, ours);
	return strcmp(theirs, ours) == 0;
}

static bool
config_is_listener(const char *address, const char *listener)
{
	static const char *const kinds[] = {"tcp:", "tls:"};

	if (address[0] != '\0' && strcmp(address, listener) == 0)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(address, kinds[i], len) == 0 && strncmp(listener, kinds[i], len) == 0)
			return config_is_same_place(address + len, listener + len);
	}
	return false;
}

bool
config_source_asks(const struct source_config *source, const char *listener)
{
	const char *rest = source->address;
	char one[SOURCE_ADDRESS_MAX];

	while (source_address_next(&rest, one))
		if (config_is_listener(one, listener))
			return true;
	return false;
}
