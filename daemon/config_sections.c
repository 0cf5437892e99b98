/* SPDX-License-Identifier: MIT */
/* The kinds of sections: where their keys are stored, and what must hold beyond each key. */
#include <stdio.h>
#include <string.h>

#include "daemon/config_inside.h"
#include "daemon/config_keys.h"
#include "daemon/config_source.h"
#include "daemon/haproxy.h"
#include "egd/listener.h"

static void *
config_begin_global(struct config_parser *p)
{
	return p->config;
}

static void *
config_begin_kernel(struct config_parser *p)
{
	p->config->kernel_on = true;
	return p->config;
}

static void *
config_begin_source(struct config_parser *p)
{
	struct source_config *source = &p->config->sources[p->config->source_count];

	if (p->config->source_count == CONFIG_SOURCES_MAX)
		return NULL;
	p->config->source_count++;
	config_source_defaults(source);
	return source;
}

static void *
config_begin_listen(struct config_parser *p)
{
	struct egd_listen_config *listen = &p->config->listens[p->config->listen_count];

	if (p->config->listen_count == CONFIG_LISTENS_MAX)
		return NULL;
	p->config->listen_count++;
	config_listen_defaults(listen);
	return listen;
}

static void *
config_begin_device(struct config_parser *p)
{
	struct device_config *device = &p->config->devices[p->config->device_count];

	if (p->config->device_count == CONFIG_DEVICES_MAX)
		return NULL;
	p->config->device_count++;
	config_device_defaults(device);
	return device;
}

/* Two sources would fight over one key, or ask one server twice. */
static void
config_check_addresses(struct config_parser *p, const struct source_config *source)
{
	const char *rest = source->address;
	char one[SOURCE_ADDRESS_MAX];

	while (source_address_next(&rest, one))
		for (const struct source_config *other = p->config->sources; other != source;
		     other++)
			if (one[0] != '\0' && source_addresses_have(other->address, one))
				config_error(p, config_section_line(p),
					     "[source %s] already has %s", other->name, one);
}

static void
config_end_source(struct config_parser *p)
{
	struct source_config *source = p->object;
	const char *error = config_source_error(source);

	memcpy(source->name, config_section_name(p), CONFIG_NAME_MAX);
	if (error != NULL)
		config_error(p, config_section_line(p), "[source %s]: %s", source->name, error);
	config_check_addresses(p, source);
}

static void
config_end_device(struct config_parser *p)
{
	struct device_config *device = p->object;

	memcpy(device->name, config_section_name(p), CONFIG_NAME_MAX);
	for (const struct device_config *other = p->config->devices; other != device; other++)
		if (device->path[0] != '\0' && strcmp(device->path, other->path) == 0)
			config_error(p, config_section_line(p), "[device %s] already has %s",
				     other->name, other->path);
}

/* Whether each of its keys is right: else what they make together is not worth a line. */
static bool
config_section_right(const struct config_parser *p)
{
	size_t n = p->errors->count;

	return n == 0 ||
	       (n <= CONFIG_ERRORS_MAX && p->errors->at[n - 1].line < config_section_line(p));
}

/* Without a burst of its own a listener lets a second's worth go at once. */
static void
config_end_listen(struct config_parser *p)
{
	struct egd_listen_config *listen = p->object;
	const char *error = egd_listener_error(listen);

	memcpy(listen->name, config_section_name(p), sizeof(listen->name));
	if (error == NULL && listen->rate == 0 && listen->burst != 0)
		error = "burst goes with rate";
	if (error != NULL && config_section_right(p))
		config_error(p, config_section_line(p), "[listen %s]: %s", listen->name, error);
	if (listen->burst == 0)
		listen->burst = listen->rate > EGD_BURST_MIN ? listen->rate : EGD_BURST_MIN;
	for (const struct egd_listen_config *other = p->config->listens; other != listen; other++)
		if (listen->address[0] != '\0' && strcmp(listen->address, other->address) == 0)
			config_error(p, config_section_line(p), "[listen %s] already has %s",
				     other->name, other->address);
}

/* It tells how full the pool is: not to everybody. */
static void
config_end_agent(struct config_parser *p)
{
	struct address address;

	if (!config_section_right(p) || p->config->agent_allow[0] != '\0')
		return;
	(void)address_parse_inet(p->config->agent + strlen(HAPROXY_PREFIX), &address);
	if (!address_is_loopback(&address))
		config_error(p, config_section_line(p),
			     "[agent]: others than this machine can reach it: say who may with "
			     "allow = NETWORKS");
}

const struct config_section config_sections[] = {
	{"daemon", false, config_begin_global, NULL},
	{"pool", false, config_begin_global, NULL},
	{"agent", false, config_begin_global, config_end_agent},
	{"kernel", false, config_begin_kernel, NULL},
	{"source", true, config_begin_source, config_end_source},
	{"device", true, config_begin_device, config_end_device},
	{"listen", true, config_begin_listen, config_end_listen},
	{NULL, false, NULL, NULL},
};

/* ---- the whole ---- */

/* Where an address is, when that is a path. */
static const char *
config_path_in(const char *address)
{
	return address + (strncmp(address, "unix:", 5) == 0 ? 5 : 0);
}

static bool
config_listen_opens(const struct egd_listen_config *listen, const char *path)
{
	return strcmp(config_path_in(listen->address), path) == 0 ||
	       strcmp(listen->psk, path) == 0 || strcmp(listen->cert, path) == 0 ||
	       strcmp(listen->key, path) == 0 || strcmp(listen->ca, path) == 0;
}

/* Something of ours that we open by path. */
static const char *
config_opens(const struct config *config, const char *path)
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
		if (config_listen_opens(&config->listens[i], path))
			return "of a [listen] section";
	return NULL;
}

/* A process that opens the device it serves waits for itself, for ever. */
static void
config_check_device(struct config_parser *p, size_t begun, const struct device_config *device)
{
	const char *what = device->path[0] != '\0' ? config_opens(p->config, device->path) : NULL;

	if (what != NULL)
		config_error(p, p->begun[begun].line, "[device %s]: its path %s is also %s",
			     p->begun[begun].name, device->path, what);
}

/* ... and so does one that asks its own listener. Others are found out when they answer. */
static void
config_check_source(struct config_parser *p, size_t begun, const struct source_config *source)
{
	for (size_t i = 0; i < p->config->listen_count; i++)
		if (config_source_asks(source, p->config->listens[i].address))
			config_error(p, p->begun[begun].line,
				     "[source %s]: %s is a listener of our own",
				     p->begun[begun].name, p->config->listens[i].address);
}

void
config_check(struct config_parser *p)
{
	const struct device_config *device = p->config->devices;
	const struct source_config *source = p->config->sources;

	for (size_t i = 0; i < p->begun_count; i++) {
		if (p->begun[i].section->begin == config_begin_device)
			config_check_device(p, i, device++);
		else if (p->begun[i].section->begin == config_begin_source)
			config_check_source(p, i, source++);
	}
}

/* ---- equal ---- */

bool
config_source_equal(const struct source_config *a, const struct source_config *b)
{
	return strcmp(a->name, b->name) == 0 && a->type == b->type &&
	       strcmp(a->address, b->address) == 0 && a->h == b->h && a->credit == b->credit &&
	       a->expect == b->expect && a->expanded == b->expanded && a->trust == b->trust &&
	       a->policy == b->policy && a->read_ahead == b->read_ahead &&
	       a->timeout_ms == b->timeout_ms && source_tls_equal(&a->tls, &b->tls);
}

bool
config_device_equal(const struct device_config *a, const struct device_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->path, b->path) == 0 && a->via == b->via &&
	       a->mode == b->mode;
}

bool
config_listen_equal(const struct egd_listen_config *a, const struct egd_listen_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
	       strcmp(a->allow, b->allow) == 0 && strcmp(a->proxy_from, b->proxy_from) == 0 &&
	       a->mode == b->mode && strcmp(a->owner, b->owner) == 0 &&
	       strcmp(a->psk, b->psk) == 0 && strcmp(a->cert, b->cert) == 0 &&
	       strcmp(a->key, b->key) == 0 && strcmp(a->ca, b->ca) == 0 && a->rate == b->rate &&
	       a->burst == b->burst && a->weight == b->weight && a->max_clients == b->max_clients &&
	       a->idle_ms == b->idle_ms && a->greet == b->greet;
}
