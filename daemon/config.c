/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <ini.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/haproxy.h"
#include "egd/server/listener.h"
#include "lib/address.h"

#define BLANKS " \t\r"
#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* some editors begin UTF-8 with it */

/* A section of the file. */
struct begun {
	const struct section *section;
	void *object;     /* the struct of its keys; with a NAME that begins with it */
	const char *name; /* "": none */
	unsigned line;
	uint64_t keys_seen; /* bits by place in config_keys[] */
	bool bad;           /* one of its lines is an error */
};

struct parser {
	struct config *config;
	struct config_errors *errors;
	unsigned line;
	bool before_first_section;
	struct begun *open; /* NULL: none, or one that is an error */
	size_t begun_count;
	struct begun begun[CONFIG_SECTIONS_MAX];
};

/* A kind of section. */
struct section {
	const char *kind;
	/* Checks the keys together, and with other sections. May be NULL. */
	void (*check)(struct parser *p, void *object);
	/* With a NAME: its array in struct config; max 0: without, in struct config itself, where
	 * `count_at` is a bool, or 0: it is there without its line. */
	size_t max, count_at, array_at, size;
};

/* Adds an error in the current line. */
__attribute__((format(printf, 2, 3))) static void
error(struct parser *p, const char *format, ...)
{
	size_t n = p->errors->count++;
	va_list args;

	if (p->open != NULL)
		p->open->bad = true;
	if (n >= CONFIG_ERRORS_MAX)
		return;
	p->errors->at[n].line = p->line;
	va_start(args, format);
	vsnprintf(p->errors->at[n].text, CONFIG_ERROR_TEXT_MAX, format, args);
	va_end(args);
}

/* ---- the rules of a section ---- */

/* The level of the pool is shown to chosen machines only. */
static void
check_agent(struct parser *p, void *object)
{
	const struct config *config = object;
	struct address address;

	(void)address_parse_inet(config->agent + strlen(HAPROXY_PREFIX), &address);
	if (config->agent_allow[0] == '\0' && !address_is_loopback(&address))
		error(p, "[agent]: other machines can reach it: name those that may connect with "
			 "allow = NETWORKS");
}

/* Unused keys may be meant for a server that is written tcp: by mistake. */
static const char *
tls_error(const struct source_config *s)
{
	bool psk = s->tls.psk[0] != '\0', identity = s->tls.identity[0] != '\0';
	bool ca = s->tls.ca[0] != '\0', cert = s->tls.cert[0] != '\0', key = s->tls.key[0] != '\0';

	if (!source_addresses_use_tls(s->address))
		return psk || identity || ca || cert || key
			       ? "psk, identity, ca, cert and key are for tls: only"
			       : NULL;
	if (!psk && !ca)
		return "tls: needs psk or ca, to authenticate the server";
	if (!psk && identity)
		return "identity needs psk";
	return key && !cert ? "key needs cert" : NULL;
}

static const char *
source_error(const struct source_config *s)
{
	const char *wrong = tls_error(s);

	if (wrong != NULL)
		return wrong;
	return source_config_error(s);
}

static bool
is_given(const struct parser *p, const char *name)
{
	return p->open->keys_seen >> (config_key_find(p->open->section->kind, name) - config_keys) &
	       1;
}

/* Finds keys that a section of this `type` cannot have. */
static void
check_type(struct parser *p, const char *type)
{
	for (size_t i = 0; config_keys[i].section != NULL; i++)
		if ((p->open->keys_seen >> i & 1) != 0 && config_keys[i].of_type != NULL &&
		    strstr(config_keys[i].of_type, type) == NULL)
			error(p, "[source %s]: %s is for type = %s", p->open->name,
			      config_keys[i].name, config_keys[i].of_type);
}

static bool
is_any_address(const struct address *address)
{
	return address->any.sa_family == AF_INET ? address->in4.sin_addr.s_addr == htonl(INADDR_ANY)
						 : IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

/* "127.0.0.1:8888" reaches "0.0.0.0:8888" too. Names are not looked up: their answers show it. */
static bool
reaches(const char *host, const char *listener)
{
	char theirs[ADDRESS_TEXT_MAX], ours[ADDRESS_TEXT_MAX];
	struct address to, at;
	struct address_host where;

	if (address_parse_host(host, &where) != NULL || address_parse_inet(listener, &at) != NULL ||
	    !address_from_ip(where.host, where.port, &to))
		return false;
	if (is_any_address(&at) && address_is_loopback(&to))
		return at.in4.sin_port == to.in4.sin_port; /* at the same place in IPv6 */
	address_text(&to, theirs);
	address_text(&at, ours);
	return strcmp(theirs, ours) == 0;
}

static bool
is_own_listener(const char *address, const char *listener)
{
	static const char *const kinds[] = {"tcp:", "tls:"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(address, kinds[i], len) == 0 && strncmp(listener, kinds[i], len) == 0)
			return reaches(address + len, listener + len);
	}
	return strcmp(address, listener) == 0;
}

/* A daemon that asks its own listener waits for itself. Other loops are found when it answers. */
static void
check_source_address(struct parser *p, const struct source_config *source, const char *address)
{
	const struct config *c = p->config;

	for (const struct source_config *other = c->sources; other != source; other++)
		if (source_addresses_have(other->address, address))
			error(p, "[source %s] already has %s", other->name, address);
	for (size_t i = 0; i < c->listen_count; i++)
		if (is_own_listener(address, c->listens[i].address))
			error(p, "[source %s]: %s is a listener of our own", source->name,
			      c->listens[i].address);
}

static void
check_source(struct parser *p, void *object)
{
	struct source_config *source = object;
	const char *wrong = source_error(source), *rest = source->address;
	char address[SOURCE_ADDRESS_MAX];

	check_type(p, source_types[source->type].name);
	if (!is_given(p, "credit"))
		source->credit = source_type_credit(source->type);
	if (wrong != NULL && !p->open->bad)
		error(p, "[source %s]: %s", source->name, wrong);
	while (source_address_next(&rest, address))
		check_source_address(p, source, address);
}

/* Without a burst of its own a listener serves a second's worth at once. */
static void
check_listen(struct parser *p, void *object)
{
	struct egd_listen_config *listen = object;
	const char *wrong = egd_listener_error(listen);

	if (wrong == NULL && listen->rate == 0 && listen->burst != 0)
		wrong = "burst needs rate";
	if (wrong != NULL)
		error(p, "[listen %s]: %s", listen->name, wrong);
	if (listen->burst == 0)
		listen->burst = listen->rate > EGD_BURST_MIN ? listen->rate : EGD_BURST_MIN;
	for (const struct egd_listen_config *other = p->config->listens; other != listen; other++)
		if (strcmp(listen->address, other->address) == 0)
			error(p, "[listen %s] already has %s", other->name, other->address);
}

static bool
listener_opens(const struct egd_listen_config *listen, const char *path)
{
	const char *socket = egd_listener_rest(listen->address, EGD_LISTEN_UNIX);

	return (socket != NULL && strcmp(socket, path) == 0) ||
	       strcmp(listen->tls.psk, path) == 0 || strcmp(listen->tls.cert, path) == 0 ||
	       strcmp(listen->tls.key, path) == 0 || strcmp(listen->tls.ca, path) == 0;
}

/* Returns what the daemon opens at this path, or NULL. */
static const char *
opened_at(const struct config *config, const char *path)
{
	char unix_address[CONFIG_PATH_MAX + 8];

	snprintf(unix_address, sizeof(unix_address), "unix:%s", path);
	if (strcmp(config->keyring, path) == 0)
		return "the keyring";
	if (strcmp(config->control, path) == 0)
		return "the control socket";
	for (size_t i = 0; i < config->source_count; i++) {
		const char *addresses = config->sources[i].address;

		if (source_addresses_have(addresses, path) ||
		    source_addresses_have(addresses, unix_address))
			return "the address of a source";
	}
	for (size_t i = 0; i < config->listen_count; i++)
		if (listener_opens(&config->listens[i], path))
			return "of a [listen] section";
	return NULL;
}

/* A process that opens the device that it serves waits for itself. */
static void
check_device(struct parser *p, void *object)
{
	const struct device_config *device = object;
	const char *what = opened_at(p->config, device->path);

	if (what != NULL)
		error(p, "[device %s]: its path %s is also %s", device->name, device->path, what);
	for (const struct device_config *other = p->config->devices; other != device; other++)
		if (strcmp(device->path, other->path) == 0)
			error(p, "[device %s] already has %s", other->name, other->path);
}

/* ---- sections ---- */

#define ARRAY(array, max, count) \
	max, offsetof(struct config, count), offsetof(struct config, array), \
		sizeof(((struct config *)NULL)->array[0])
#define ONE(on) 0, offsetof(struct config, on), 0, 0
#define ALWAYS 0, 0, 0, 0

static const struct section sections[] = {
	{"daemon", NULL, ALWAYS},
	{"pool", NULL, ALWAYS},
	{"kernel", NULL, ONE(kernel_on)},
	{"agent", check_agent, ONE(agent_on)},
	{"source", check_source, ARRAY(sources, CONFIG_SOURCES_MAX, source_count)},
	{"device", check_device, ARRAY(devices, CONFIG_DEVICES_MAX, device_count)},
	{"listen", check_listen, ARRAY(listens, CONFIG_LISTENS_MAX, listen_count)},
	{.kind = NULL},
};

_Static_assert(offsetof(struct source_config, name) == 0 &&
		       offsetof(struct device_config, name) == 0 &&
		       offsetof(struct egd_listen_config, name) == 0,
	       "the struct of a section begins with its NAME");

static const struct section *
find_section(const char *kind)
{
	for (const struct section *at = sections; at->kind != NULL; at++)
		if (strcmp(kind, at->kind) == 0)
			return at;
	return NULL;
}

size_t
config_count(const struct config *config, const char *kind)
{
	const struct section *section = find_section(kind);
	const char *count = (const char *)config + section->count_at;

	if (section->count_at == 0)
		return 1;
	return section->max > 0 ? *(const size_t *)(const void *)count
				: *(const bool *)(const void *)count;
}

const void *
config_at(const struct config *config, const char *kind, size_t i)
{
	const struct section *section = find_section(kind);

	return (const char *)config + section->array_at + i * section->size;
}

const char *
config_name(const struct config *config, const char *kind, size_t i)
{
	return find_section(kind)->max > 0 ? config_at(config, kind, i) : "-";
}

bool
config_device_is_mount(const struct device_config *device)
{
	static const char dev[] = "/dev/";

	return device->via == DEVICE_VIA_FUSE ||
	       (device->via == DEVICE_VIA_AUTO &&
		(strncmp(device->path, dev, strlen(dev)) != 0 ||
		 strchr(device->path + strlen(dev), '/') != NULL ||
		 access("/dev/cuse", F_OK) != 0));
}

bool
config_equal(const char *kind, const void *a, const void *b)
{
	return (find_section(kind)->max == 0 || strcmp(a, b) == 0) && config_keys_equal(kind, a, b);
}

/* A name appears in logs and in tab-separated answers: it is one plain word. */
static bool
is_name(const char *name)
{
	return name[0] != '\0' && name[strspn(name, CONFIG_NAME_CHARS)] == '\0' &&
	       strlen(name) < CONFIG_NAME_MAX;
}

/* Returns the line in which the same section began before, or 0. */
static unsigned
begun_before(const struct parser *p, const struct section *section, const char *name)
{
	for (size_t i = 0; i < p->begun_count; i++)
		if (p->begun[i].section == section && strcmp(p->begun[i].name, name) == 0)
			return p->begun[i].line;
	return 0;
}

/* Returns the struct for a section's keys, with their defaults; NULL: there are too many. */
static void *
new_object(struct config *config, const struct section *section, const char *name)
{
	size_t *count = (size_t *)(void *)((char *)config + section->count_at);
	char *object;

	if (*count == section->max)
		return NULL;
	object = (char *)config + section->array_at + (*count)++ * section->size;
	memset(object, 0, section->size);
	memcpy(object, name, strlen(name) + 1);
	config_keys_preset(section->kind, object);
	return object;
}

static void
open_section(struct parser *p, const struct section *section, const char *name)
{
	struct begun *begun = &p->begun[p->begun_count];
	bool named = section->max > 0;

	*begun = (struct begun){
		.section = section, .object = p->config, .name = "", .line = p->line};
	if (named)
		begun->name = begun->object = new_object(p->config, section, name);
	else if (section->count_at > 0)
		*(bool *)(void *)((char *)p->config + section->count_at) = true;
	if (begun->object == NULL) {
		error(p, "at most %zu [%s] sections", section->max, section->kind);
		return;
	}
	p->begun_count++;
	p->open = begun;
}

/* Opens a section. The keys of one that is an error are skipped: one error is enough. */
static void
begin_section(struct parser *p, const char *kind, const char *name)
{
	const struct section *section = find_section(kind);
	unsigned before;

	if (section == NULL)
		error(p, "unknown section [%s]", kind);
	else if (section->max == 0 && name[0] != '\0')
		error(p, "[%s] cannot have a name", kind);
	else if (section->max > 0 && !is_name(name))
		error(p, "expected [%s NAME] with a name of at most %d letters, digits and ._-",
		      kind, CONFIG_NAME_MAX - 1);
	else if ((before = begun_before(p, section, name)) != 0)
		error(p, "the same section begins in line %u", before);
	else
		open_section(p, section, name);
}

/* Reads "[KIND NAME]", perhaps with a comment behind it. */
static void
parse_header(struct parser *p, char *line)
{
	char *end = strchr(line, ']');
	const char *rest = end != NULL ? end + 1 + strspn(end + 1, BLANKS) : "";
	char *name = line + 1;
	const char *kind;

	p->open = NULL;
	p->before_first_section = false;
	if (end == NULL || (*rest != '\0' && *rest != ';' && *rest != '#')) {
		error(p, "expected [KIND] or [KIND NAME]");
		return;
	}
	*end = '\0';
	kind = strsep(&name, BLANKS);
	begin_section(p, kind, name != NULL ? name + strspn(name, BLANKS) : "");
}

/* Checks the sections when all have been read: one without an error as a whole. */
static void
check_sections(struct parser *p)
{
	for (size_t n = 0; n < p->begun_count; n++) {
		struct begun *begun = p->open = &p->begun[n];
		const char *kind = begun->section->kind;

		p->line = begun->line;
		for (size_t i = 0; config_keys[i].section != NULL; i++)
			if (config_keys[i].required != NULL && (begun->keys_seen >> i & 1) == 0 &&
			    strcmp(config_keys[i].section, kind) == 0)
				error(p, "[%s] lacks '%s': %s", kind, config_keys[i].name,
				      config_keys[i].required);
		if (!begun->bad && begun->section->check != NULL)
			begun->section->check(p, begun->object);
	}
}

/* ---- lines ---- */

/* Stores a value. False with what is wrong with it. */
static bool
store_value(struct parser *p, const struct config_key *key, const char *value,
	    char ret_error[static CONFIG_ERROR_TEXT_MAX])
{
	const char *wrong = NULL;

	if (value[0] == '\0')
		wrong = "expected a value";
	else if (strchr(value, '\t') != NULL)
		wrong = "cannot contain a tab"; /* it separates the fields of a status */
	else if (strstr(value, " #") != NULL)
		wrong = "a comment behind a value must start with ;";
	else if ((p->open->keys_seen >> (key - config_keys) & 1) != 0)
		wrong = "given twice";
	if (wrong == NULL)
		return config_key_parse(key, p->open->object, value, ret_error);
	snprintf(ret_error, CONFIG_ERROR_TEXT_MAX, "%s", wrong);
	return false;
}

/* Handles one "name = value", for libinih. */
static int
on_key(void *arg, const char *ini_section, const char *name, const char *value)
{
	struct parser *p = arg;
	char wrong[CONFIG_ERROR_TEXT_MAX];
	const struct config_key *key;

	(void)ini_section;
	if (p->before_first_section)
		error(p, "key '%s' before the first [section]", name);
	if (p->open == NULL)
		return 1;
	key = config_key_find(p->open->section->kind, name);
	if (key == NULL) {
		error(p, "unknown key '%s' in [%s]", name, p->open->section->kind);
		return 1;
	}
	if (!store_value(p, key, value, wrong))
		error(p, "%s = %s: %s", name, value, wrong);
	p->open->keys_seen |= UINT64_C(1) << (key - config_keys);
	return 1;
}

/*
 * libinih splits "name = value ; comment". It gets one line at a time, as it reports neither the
 * line of a key nor a section without keys, and takes an indented line for the continuation of the
 * one before; and no section, which it would forget with its line.
 */
static void
parse_line(struct parser *p, char *line)
{
	line += strspn(line, BLANKS);
	if (strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		error(p, "a byte-order mark can begin the file, but no line in it");
	else if (line[0] == '[')
		parse_header(p, line);
	else if (ini_parse_string(line, on_key, p) != 0)
		error(p, "expected a [section], key = value, or # comment");
}

/* Copies one raw line for parse_line(), unless it is too long or has control characters. */
static void
parse_raw_line(struct parser *p, const char *at, size_t len)
{
	char line[CONFIG_LINE_MAX + 1];

	p->line++;
	if (len > CONFIG_LINE_MAX) {
		error(p, "a line can have at most %d bytes", CONFIG_LINE_MAX);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if ((c < ' ' && c != '\t' && !(c == '\r' && i == len - 1)) || c == 0x7f) {
			error(p, "control character 0x%02x", c);
			return;
		}
	}
	memcpy(line, at, len);
	line[len] = '\0';
	parse_line(p, line);
}

bool
config_parse(const char *text, size_t len, struct config *ret, struct config_errors *ret_errors)
{
	struct config config = {.source_count = 0};
	struct parser p = {.config = &config, .errors = ret_errors, .before_first_section = true};
	size_t mark = strlen(BYTE_ORDER_MARK);

	ret_errors->count = 0;
	for (const struct section *at = sections; at->kind != NULL; at++)
		if (at->max == 0)
			config_keys_preset(at->kind, &config);
	if (len >= mark && memcmp(text, BYTE_ORDER_MARK, mark) == 0) {
		text += mark;
		len -= mark;
	}
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end != NULL ? (size_t)(end - text) : len;
		size_t taken = end != NULL ? line_len + 1 : len;

		parse_raw_line(&p, text, line_len);
		text += taken;
		len -= taken;
	}
	check_sections(&p);
	if (ret_errors->count > 0)
		return false;
	*ret = config;
	return true;
}
