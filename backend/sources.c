/* SPDX-License-Identifier: MIT */
#include "backend/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/usb.h"
#include "base/log.h"

#define ADDRESS_ANY "usb"
#define ADDRESS_USB "usb:"
#define SETTLE_S 3 /* until the number of keys is reported: they come one after the other */

_Static_assert(SOURCE_NAME_MAX > 32 + 1 + USB_SERIAL_MAX, "NAME/SERIAL");

struct sources {
	struct source_env env;
	struct source_config config;
	struct source *members[SOURCES_MAX]; /* without gaps */
	size_t count;
	struct usb_watch *watch; /* of "usb" */
	const char *reserved;    /* the serial of "usb:SERIAL" */
	struct event *settle;    /* NULL: nothing is expected */
	unsigned told_present;
	bool told_full;
};

const char *
sources_address_error(const char *address)
{
	return sources_address_is_any(address) ? NULL : source_address_error(address);
}

bool
sources_address_is_any(const char *address)
{
	return strcmp(address, ADDRESS_ANY) == 0;
}

/* ---- how many there are ---- */

static unsigned
sources_present(const struct sources *s)
{
	unsigned present = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct source_status status;

		source_status(s->members[i], &status);
		present += status.connected;
	}
	return present;
}

static void
sources_on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct sources *s = arg;
	unsigned present = sources_present(s);

	(void)fd, (void)what;
	if (present == s->told_present)
		return;
	if (present < s->config.expect)
		log_warn("source %s: %u of %u expected keys present", s->config.name, present,
			 s->config.expect);
	else if (s->told_present < s->config.expect)
		log_info("source %s: all %u expected keys present", s->config.name,
			 s->config.expect);
	s->told_present = present;
}

static void
sources_on_presence(void *arg)
{
	struct sources *s = arg;
	const struct timeval wait = {.tv_sec = SETTLE_S};

	if (s->settle != NULL)
		event_add(s->settle, &wait);
}

/* ---- members ---- */

static bool
sources_add(struct sources *s, const struct source_config *config)
{
	struct source *member = source_new(&s->env, config);

	if (member != NULL)
		s->members[s->count++] = member;
	return member != NULL;
}

static void
sources_remove(struct sources *s, size_t i)
{
	source_free(&s->members[i]);
	s->members[i] = s->members[--s->count];
	s->members[s->count] = NULL;
}

static const char *
sources_serial(const struct sources *s, size_t i)
{
	struct source_status status;

	source_status(s->members[i], &status);
	return status.address + strlen(ADDRESS_USB);
}

static bool
sources_has(const struct sources *s, const char *serial)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(sources_serial(s, i), serial) == 0)
			return true;
	return false;
}

/* Room for one more, if need be in the place of one whose key is not plugged in. */
static bool
sources_make_room(struct sources *s)
{
	for (size_t i = 0; s->count == SOURCES_MAX && i < s->count; i++) {
		struct source_status status;

		source_status(s->members[i], &status);
		if (!status.connected)
			sources_remove(s, i);
	}
	if (s->count < SOURCES_MAX)
		return true;
	if (!s->told_full)
		log_warn("source %s: only %d keys are used", s->config.name, SOURCES_MAX);
	s->told_full = true;
	return false;
}

static void
sources_take_key(struct sources *s, const char *serial)
{
	struct source_config config = s->config;

	snprintf(config.name, sizeof(config.name), "%.31s/%s", s->config.name, serial);
	snprintf(config.address, sizeof(config.address), ADDRESS_USB "%s", serial);
	if (sources_make_room(s) && !sources_add(s, &config))
		log_err("source %s: no memory", config.name);
}

/* Keys have come or gone, or were given a section of their own. */
static void
sources_on_usb(void *arg)
{
	struct sources *s = arg;
	const struct usb_key *key;

	for (size_t i = s->count; i-- > 0;)
		if (usb_is_reserved(s->env.usb, sources_serial(s, i)))
			sources_remove(s, i);
	for (size_t i = 0; (key = usb_key(s->env.usb, i)) != NULL; i++) {
		const char *serial = key->identity.serial;

		if (!usb_is_reserved(s->env.usb, serial) && !sources_has(s, serial))
			sources_take_key(s, serial);
	}
}

/* ---- life ---- */

static bool
sources_start_one(struct sources *s)
{
	const char *address = s->config.address;

	if (strncmp(address, ADDRESS_USB, strlen(ADDRESS_USB)) == 0) {
		if (!usb_reserve(s->env.usb, address + strlen(ADDRESS_USB)))
			return false;
		s->reserved = address + strlen(ADDRESS_USB);
	}
	return sources_add(s, &s->config);
}

static bool
sources_start(struct sources *s)
{
	if (s->config.expect > 0) {
		s->settle = evtimer_new(s->env.base, sources_on_settled, s);
		if (s->settle == NULL)
			return false;
		s->told_present = s->config.expect;
		sources_on_presence(s);
	}
	if (!sources_address_is_any(s->config.address))
		return sources_start_one(s);
	s->watch = usb_watch_new(s->env.usb, NULL, sources_on_usb, s);
	return s->watch != NULL;
}

struct sources *
sources_new(const struct source_env *env, const struct source_config *config)
{
	struct sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = *env;
	s->env.presence = sources_on_presence;
	s->env.presence_arg = s;
	s->config = *config;
	if (!sources_start(s))
		sources_free(&s);
	return s;
}

void
sources_free(struct sources **sources)
{
	struct sources *s = *sources;

	if (s == NULL)
		return;
	usb_watch_free(&s->watch);
	while (s->count > 0)
		sources_remove(s, s->count - 1);
	if (s->reserved != NULL)
		usb_unreserve(s->env.usb, s->reserved);
	if (s->settle != NULL)
		event_free(s->settle);
	free(s);
	*sources = NULL;
}

/* ---- questions ---- */

struct source *
sources_at(const struct sources *s, size_t i)
{
	return s != NULL && i < s->count ? s->members[i] : NULL;
}

void
sources_status(const struct sources *s, struct sources_status *ret)
{
	*ret = (struct sources_status){
		.name = s->config.name,
		.address = s->config.address,
		.any = sources_address_is_any(s->config.address),
		.expected = s->config.expect,
		.present = sources_present(s),
	};
}
