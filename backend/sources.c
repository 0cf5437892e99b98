/* SPDX-License-Identifier: MIT */
#include "backend/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/usb/usb.h"
#include "lib/log.h"

#define SETTLE_S 3 /* until the number of keys is logged: they are found one by one */

_Static_assert(SOURCE_NAME_MAX > 32 + 1 + USB_SERIAL_MAX, "NAME/SERIAL");

struct sources {
	const struct source_env *shared;
	struct source_env env; /* the same, with presence() of our own */
	struct source_config config;
	struct source *members[SOURCES_MAX]; /* without gaps */
	size_t count;
	struct usb_watch *watch; /* of "usb" */
	const char *reserved;    /* the serial of "usb:SERIAL" */
	struct event *settle;    /* NULL: no number is expected */
	size_t asked;            /* of a list whose policy is failover */
	unsigned told_present;
	bool told_full;
};

static const char *
sources_address(const struct sources *s, size_t i)
{
	struct source_status status;

	source_status(s->members[i], &status);
	return status.address;
}

/* ---- presence ---- */

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

/* ---- failover ---- */

/* The first that serves, or else is connected, or else the first. */
static size_t
sources_best(const struct sources *s)
{
	size_t best = 0;
	int rank = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct source_status status;
		int its;

		source_status(s->members[i], &status);
		its = status.connected + status.serves;
		if (its > rank) {
			best = i;
			rank = its;
		}
	}
	return best;
}

static void
sources_elect(struct sources *s)
{
	size_t best = sources_best(s);

	if (best != s->asked && s->count > best)
		log_info("source %s: asking %s now", s->config.name, sources_address(s, best));
	s->asked = best;
	for (size_t i = 0; i < s->count; i++)
		source_stand_by(s->members[i], i != best);
}

static void
sources_report_presence(struct sources *s)
{
	const struct timeval wait = {.tv_sec = SETTLE_S};

	if (s->settle != NULL)
		event_add(s->settle, &wait);
	if (s->shared->presence != NULL)
		s->shared->presence(s->shared->presence_arg);
}

static void
sources_on_presence(void *arg)
{
	struct sources *s = arg;

	if (s->config.policy == SOURCE_POLICY_FAILOVER)
		sources_elect(s);
	sources_report_presence(s);
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
	sources_report_presence(s);
}

static const char *
sources_serial(const struct sources *s, size_t i)
{
	return sources_address(s, i) + strlen(SOURCE_ADDRESS_USB);
}

static bool
sources_has(const struct sources *s, const char *serial)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(sources_serial(s, i), serial) == 0)
			return true;
	return false;
}

/* Makes room for one more, if need be by removing one whose key is not plugged in. */
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
	snprintf(config.address, sizeof(config.address), SOURCE_ADDRESS_USB "%s", serial);
	if (sources_make_room(s) && !sources_add(s, &config))
		log_err("source %s: no memory", config.name);
}

/* Keys were plugged in or unplugged, or have a section of their own now. */
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

	if (strncmp(address, SOURCE_ADDRESS_USB, strlen(SOURCE_ADDRESS_USB)) == 0) {
		if (!usb_reserve(s->env.usb, address + strlen(SOURCE_ADDRESS_USB)))
			return false;
		s->reserved = address + strlen(SOURCE_ADDRESS_USB);
	}
	return sources_add(s, &s->config);
}

static bool
sources_start_list(struct sources *s)
{
	struct source_config config = s->config;
	const char *rest = s->config.address;

	while (s->count < SOURCES_MAX && source_address_next(&rest, config.address)) {
		snprintf(config.name, sizeof(config.name), "%.31s/%zu", s->config.name,
			 s->count + 1);
		if (!sources_add(s, &config))
			return false;
	}
	sources_on_presence(s);
	return true;
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
	if (source_address_is_list(s->config.address))
		return sources_start_list(s);
	if (!source_address_is_any(s->config.address))
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
	s->shared = env;
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
		.any = source_address_is_any(s->config.address),
		.list = source_address_is_list(s->config.address),
		.expected = s->config.expect,
		.present = sources_present(s),
	};
}
