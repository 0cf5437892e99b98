/* SPDX-License-Identifier: MIT */
#include "egd/proxy.h"

#include "lib/num.h"

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.9 40666 8888\r\n" ---- */

#define V1_START "PROXY "
#define V1_MAX 107 /* with its end */

/*
 * Parses the text between "PROXY " and the end of the line: family, the client's and the server's
 * address, their ports. Both ends must be good, though only the client's is used.
 */
static bool
v1_line(char *line, struct egd_proxy *ret)
{
	const char *words[5];
	uint64_t client_port, server_port;
	struct address server;
	sa_family_t family;

	*ret = (struct egd_proxy){0};
	words[0] = strsep(&line, " ");
	if (strcmp(words[0], "UNKNOWN") == 0)
		return true; /* with any text behind it */
	for (size_t i = 1; i < 5; i++)
		words[i] = strsep(&line, " ");
	if (line != NULL || words[4] == NULL || !num_parse(words[3], UINT16_MAX, &client_port) ||
	    !num_parse(words[4], UINT16_MAX, &server_port) ||
	    !address_from_ip(words[1], (uint16_t)client_port, &ret->client) ||
	    !address_from_ip(words[2], (uint16_t)server_port, &server))
		return false;
	family = ret->client.any.sa_family;
	if (server.any.sa_family != family ||
	    strcmp(words[0], family == AF_INET ? "TCP4" : "TCP6") != 0)
		return false;
	address_unmap(&ret->client);
	ret->forwarded = true;
	return true;
}

static enum egd_proxy_found
v1_parse(struct cursor *in, struct egd_proxy *ret)
{
	size_t most = in->left < V1_MAX ? in->left : V1_MAX;
	const uint8_t *end = memchr(in->at, '\n', most), *at;
	struct egd_proxy proxy;
	char line[V1_MAX + 1];
	size_t len;

	if (end == NULL)
		return in->left < V1_MAX ? EGD_PROXY_PARTIAL : EGD_PROXY_BAD;
	len = (size_t)(end - in->at);
	memcpy(line, in->at, len);
	line[len] = '\0';
	if (line[len - 1] != '\r' || strlen(line) != len)
		return EGD_PROXY_BAD;
	line[len - 1] = '\0';
	if (!v1_line(line + strlen(V1_START), &proxy))
		return EGD_PROXY_BAD;
	cursor_take(in, len + 1, &at);
	*ret = proxy;
	return EGD_PROXY_WHOLE;
}

/* ---- version 2: signature, command, family, length, addresses, TLVs ---- */

#define V2_START "\r\n\r\n\0\r\nQUIT\n"
#define V2_START_LEN 12
#define V2_HEAD_LEN 16

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum v2_family { V2_TCP4 = 0x11, V2_TCP6 = 0x21 };
enum v2_field { V2_IDENTITY = 0xe0, V2_REFUSAL = 0xe1 }; /* PP2_TYPE_MIN_CUSTOM and the next */

#define V2_FIELD_LEN 3 /* type and length */

/* Returns the length of the addresses of a family; 0: of one that is not used here. */
static size_t
v2_addresses_len(uint8_t family)
{
	return family == V2_TCP4 ? 12 : family == V2_TCP6 ? 36 : 0;
}

/* Takes the client's address. All are in network order: client, server, then their ports. */
static void
v2_addresses(uint8_t family, const uint8_t *at, struct egd_proxy *ret)
{
	struct address *client = &ret->client;

	if (family == V2_TCP4) {
		client->len = sizeof(client->in4);
		client->in4.sin_family = AF_INET;
		memcpy(&client->in4.sin_addr, at, 4);
		memcpy(&client->in4.sin_port, at + 8, 2);
	} else if (family == V2_TCP6) {
		client->len = sizeof(client->in6);
		client->in6.sin6_family = AF_INET6;
		memcpy(&client->in6.sin6_addr, at, 16);
		memcpy(&client->in6.sin6_port, at + 32, 2);
		address_unmap(client);
	}
	ret->forwarded = family == V2_TCP4 || family == V2_TCP6;
}

/* Copies a text for the log, if it is printable ASCII. */
static void
v2_words(const uint8_t *at, size_t len, char ret[static EGD_PROXY_WORDS_MAX])
{
	for (size_t i = 0; i < len; i++)
		if (at[i] < ' ' || at[i] > '~')
			return;
	if (len >= EGD_PROXY_WORDS_MAX)
		return;
	memcpy(ret, at, len);
	ret[len] = '\0';
}

/* Takes the fields of ekey-tls. Other proxies have fields of their own, which are skipped. */
static void
v2_fields(struct cursor fields, struct egd_proxy *ret)
{
	const uint8_t *head, *value;

	while (cursor_take(&fields, V2_FIELD_LEN, &head)) {
		size_t len = (size_t)head[1] << 8 | head[2];

		if (!cursor_take(&fields, len, &value))
			return;
		if (head[0] == V2_IDENTITY)
			v2_words(value, len, ret->identity);
		else if (head[0] == V2_REFUSAL)
			v2_words(value, len, ret->refusal);
	}
}

static enum egd_proxy_found
v2_parse(struct cursor *in, struct egd_proxy *ret)
{
	struct egd_proxy proxy = {0};
	const uint8_t *head = in->at, *rest;
	size_t len, addresses_len;

	if (in->left < V2_HEAD_LEN)
		return EGD_PROXY_PARTIAL;
	len = (size_t)head[14] << 8 | head[15];
	if ((head[12] != V2_LOCAL && head[12] != V2_PROXY) || V2_HEAD_LEN + len > EGD_PROXY_MAX)
		return EGD_PROXY_BAD;
	if (in->left < V2_HEAD_LEN + len)
		return EGD_PROXY_PARTIAL;
	rest = head + V2_HEAD_LEN;
	addresses_len = v2_addresses_len(head[13]);
	if (head[12] == V2_PROXY && addresses_len > len)
		return EGD_PROXY_BAD;
	if (head[12] == V2_PROXY)
		v2_addresses(head[13], rest, &proxy);
	if (addresses_len <= len)
		v2_fields(cursor_over(rest + addresses_len, len - addresses_len), &proxy);
	cursor_take(in, V2_HEAD_LEN + len, &head);
	*ret = proxy;
	return EGD_PROXY_WHOLE;
}

static size_t
v2_put_field(enum v2_field type, const char *words, uint8_t *at)
{
	size_t len = strnlen(words, EGD_PROXY_WORDS_MAX - 1);

	if (len == 0)
		return 0;
	at[0] = (uint8_t)type;
	at[1] = (uint8_t)(len >> 8);
	at[2] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		at[V2_FIELD_LEN + i] = words[i] < ' ' || words[i] > '~' ? '?' : (uint8_t)words[i];
	return V2_FIELD_LEN + len;
}

size_t
egd_proxy_put(const char *identity, const char *refusal, uint8_t *ret)
{
	uint8_t *fields = ret + V2_HEAD_LEN;
	size_t len = v2_put_field(V2_IDENTITY, identity, fields);

	len += v2_put_field(V2_REFUSAL, refusal, fields + len);
	memcpy(ret, V2_START, V2_START_LEN);
	ret[12] = V2_LOCAL;
	ret[13] = 0;
	ret[14] = (uint8_t)(len >> 8);
	ret[15] = (uint8_t)len;
	return V2_HEAD_LEN + len;
}

/* ---- either ---- */

/* Whether `in` begins with `start`, or is the beginning of it. */
static bool
begins(const struct cursor *in, const char *start, size_t len)
{
	return in->left > 0 && memcmp(in->at, start, in->left < len ? in->left : len) == 0;
}

enum egd_proxy_found
egd_proxy_parse(struct cursor *in, struct egd_proxy *ret)
{
	if (in->left == 0)
		return EGD_PROXY_PARTIAL;
	if (begins(in, V1_START, strlen(V1_START)))
		return v1_parse(in, ret);
	if (begins(in, V2_START, V2_START_LEN))
		return v2_parse(in, ret);
	return EGD_PROXY_BAD;
}

bool
egd_proxy_begins(uint8_t first)
{
	return first == V1_START[0] || first == V2_START[0];
}
