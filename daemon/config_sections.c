/* SPDX-License-Identifier: MIT */
/* The kinds of sections: where their keys are stored, and what must hold beyond each key. */
#include <string.h>

#include "daemon/config_inside.h"
#include "daemon/config_keys.h"

static void *
config_begin_global(struct config_parser *p)
{
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
config_begin_device(struct config_parser *p)
{
	struct device_config *device = &p->config->devices[p->config->device_count];

	if (p->config->device_count == CONFIG_DEVICES_MAX)
		return NULL;
	p->config->device_count++;
	config_device_defaults(device);
	return device;
}

/* Two sources would fight over one key. */
static void
config_end_source(struct config_parser *p)
{
	struct source_config *source = p->object;

	memcpy(source->name, config_section_name(p), CONFIG_NAME_MAX);
	if (source->expect > 1 && !sources_address_is_any(source->address))
		config_error(p, config_section_line(p), "%s is one key: expect = %u cannot be",
			     source->address, source->expect);
	for (const struct source_config *other = p->config->sources; other != source; other++)
		if (source->address[0] != '\0' && strcmp(source->address, other->address) == 0)
			config_error(p, config_section_line(p), "[source %s] already has %s",
				     other->name, other->address);
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

const struct config_section config_sections[] = {
	{"daemon", false, config_begin_global, NULL},
	{"pool", false, config_begin_global, NULL},
	{"source", true, config_begin_source, config_end_source},
	{"device", true, config_begin_device, config_end_device},
	{NULL, false, NULL, NULL},
};

/* ---- the whole ---- */

/* Something of ours that we open by path. */
static const char *
config_opens(const struct config *config, const char *path)
{
	if (strcmp(config->keyring, path) == 0)
		return "the keyring";
	if (strcmp(config->control, path) == 0)
		return "the control socket";
	for (size_t i = 0; i < config->source_count; i++) {
		const char *address = config->sources[i].address;
		size_t skip = strncmp(address, "unix:", 5) == 0 ? 5 : 0;

		if (strcmp(address + skip, path) == 0)
			return "the address of a source";
	}
	return NULL;
}

/* A process that opens the device it serves waits for itself, for ever. */
void
config_check(struct config_parser *p)
{
	const struct device_config *device = p->config->devices;

	for (size_t i = 0; i < p->begun_count; i++) {
		const char *what;

		if (p->begun[i].section->begin != config_begin_device)
			continue;
		what = device->path[0] != '\0' ? config_opens(p->config, device->path) : NULL;
		if (what != NULL)
			config_error(p, p->begun[i].line, "[device %s]: its path %s is also %s",
				     p->begun[i].name, device->path, what);
		device++;
	}
}

/* ---- equal ---- */

bool
config_source_equal(const struct source_config *a, const struct source_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
	       a->h == b->h && a->expect == b->expect;
}

bool
config_device_equal(const struct device_config *a, const struct device_config *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->path, b->path) == 0 && a->via == b->via &&
	       a->mode == b->mode;
}
