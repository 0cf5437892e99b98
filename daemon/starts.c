/* SPDX-License-Identifier: MIT */
#include "daemon/starts.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/net.h"

#define NAME FD_STORE_PREFIX "starts"
#define DEVICE FD_STORE_PREFIX "device."
#define LISTEN FD_STORE_PREFIX "listen."

#define DELAY_MIN_MS 100
#define UNREADY_MAX_MS 60000
#define EARLY_MAX_MS \
	500            /* daemons that served are followed within a second, however many ended \
			*/
#define EARLY_MAX 1000 /* the numbers in the store are input */

static void
note(const struct starts *s, uint32_t unready, uint32_t early, uint32_t resuming)
{
	const struct starts_count count = {unready, early, resuming};

	if (s->fd >= 0)
		(void)!pwrite(s->fd, &count, sizeof(count), 0);
}

void
starts_begin(struct starts *s, struct fd_store *store)
{
	*s = (struct starts){.fd = fd_store_take(store, NAME)};
	if (s->fd >= 0) {
		if (pread(s->fd, &s->count, sizeof(s->count), 0) != (ssize_t)sizeof(s->count) ||
		    s->count.unready > EARLY_MAX || s->count.early > EARLY_MAX ||
		    s->count.resuming > EARLY_MAX)
			s->count = (struct starts_count){0};
	} else if (fd_store_works(store)) {
		s->fd = memfd_create("ekey-random starts", MFD_CLOEXEC);
		if (s->fd >= 0)
			fd_store_put(store, NAME, s->fd);
	}
	note(s, s->count.unready + 1, s->count.early + 1, s->count.resuming);
}

void
starts_resuming(struct starts *s)
{
	note(s, s->count.unready + 1, s->count.early + 1, s->count.resuming + 1);
}

void
starts_ready(struct starts *s)
{
	note(s, 0, s->count.early + 1, 0);
}

void
starts_succeeded(struct starts *s)
{
	note(s, 0, 0, 0);
}

void
starts_finish(struct starts *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Doubles with each. There is no wait after the first: an administrator may have killed it. */
static unsigned
backoff_ms(uint32_t count, unsigned max_ms)
{
	unsigned ms = DELAY_MIN_MS;

	if (count < 2)
		return 0;
	for (uint32_t i = 2; i < count && ms < max_ms; i++)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

unsigned
starts_delay_ms(const struct starts *s)
{
	unsigned unready_ms = backoff_ms(s->count.unready, UNREADY_MAX_MS);
	unsigned early_ms = backoff_ms(s->count.early, EARLY_MAX_MS);

	return unready_ms > early_ms ? unready_ms : early_ms;
}

/* ---- saved state that no section uses ---- */

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool
is_configured(const struct config *config, const char *kind, const char *name)
{
	for (size_t i = 0; i < config_count(config, kind); i++)
		if (strcmp(config_name(config, kind, i), name) == 0)
			return true;
	return false;
}

/* The NAME of ekey.device.NAME.PART. */
static void
device_of(const char *stored, char ret[static FD_STORE_NAME_MAX])
{
	char *dot;

	snprintf(ret, FD_STORE_NAME_MAX, "%s", stored + strlen(DEVICE));
	dot = strrchr(ret, '.');
	if (dot != NULL)
		*dot = '\0';
}

static void
discard_one(struct fd_store *store, const char *stored)
{
	int fd = fd_store_take(store, stored);

	fd_store_remove(store, stored);
	(void)fd_store_wait(store);
	net_unix_discard(fd);
	log_info("discarded %s, which a previous daemon stored: it is not configured", stored);
}

/* Returns false when the one at `i` is to be resumed; else it was discarded. */
static bool
discard_unused(const struct starts *s, struct fd_store *store, const struct config *config,
	       unsigned i)
{
	char stored[FD_STORE_NAME_MAX], device[FD_STORE_NAME_MAX];

	snprintf(stored, sizeof(stored), "%s", fd_store_name(store, i));
	if (begins(stored, LISTEN) && is_configured(config, "listen", stored + strlen(LISTEN)))
		return false;
	if (begins(stored, DEVICE)) {
		device_of(stored, device);
		if (is_configured(config, "device", device) &&
		    s->count.resuming < STARTS_RESUMING_MAX)
			return false;
		device_discard(store, device);
		log_info("device %s: the one of the previous daemon was withdrawn", device);
	}
	if (fd_store_has(store, stored))
		discard_one(store, stored);
	return true;
}

void
starts_discard(const struct starts *s, struct fd_store *store, const struct config *config)
{
	unsigned i = 0;

	if (s->count.resuming >= STARTS_RESUMING_MAX && fd_store_count(store) > 0)
		log_warn("discarding saved state: %u daemons ended while resuming it",
			 s->count.resuming);
	while (i < fd_store_count(store))
		i += !discard_unused(s, store, config, i);
}
