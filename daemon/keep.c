/* SPDX-License-Identifier: MIT */
#include "daemon/keep.h"

#include <errno.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/notify.h"

_Static_assert(KEPT_MAX > CONFIG_DEVICES_MAX, "the clients find room beside all devices");

static struct kept *
keep_find(struct keep *keep, const char *path)
{
	for (size_t i = 0; i < keep->count; i++)
		if (strcmp(keep->at[i].path, path) == 0)
			return &keep->at[i];
	return NULL;
}

static struct kept *
keep_new(struct keep *keep, const char *path)
{
	struct kept *k;

	if (keep->count == KEPT_MAX)
		return NULL;
	k = &keep->at[keep->count++];
	*k = (struct kept){.fds = {-1, -1, -1}};
	memcpy(k->path, path, strnlen(path, sizeof(k->path) - 1));
	return k;
}

/* ---- the service manager: one fd at a time, by name ---- */

static bool
keep_stored(void *arg, const char *path, unsigned what, int fd)
{
	struct keep *keep = arg;
	struct kept *k = keep_find(keep, path);

	if (k == NULL)
		k = keep_new(keep, path);
	if (k == NULL || k->fds[what] >= 0)
		return false;
	k->fds[what] = fd;
	return true;
}

/* Of what has lost its connection or its table there is nothing to go on with. */
void
keep_from_manager(struct keep *keep)
{
	notify_stored(keep_stored, keep);
	for (size_t i = keep->count; i-- > 0;) {
		struct kept *k = &keep->at[i];

		keep->managed = true;
		if (k->fds[KEPT_CARRIER] >= 0 && k->fds[KEPT_TABLE] >= 0)
			continue;
		notify_forget(k->path);
		kept_close(k);
		*k = keep->at[--keep->count];
	}
}

bool
keep_is_device(const struct kept *k)
{
	return strncmp(k->path, KEPT_CLIENTS, strlen(KEPT_CLIENTS)) != 0;
}

size_t
keep_devices(const struct keep *keep)
{
	size_t count = 0;

	for (size_t i = 0; i < keep->count; i++)
		count += keep_is_device(&keep->at[i]);
	return count;
}

/* ---- the daemon ---- */

int
keep_send(const struct keep *keep, int socket)
{
	int result = 0;

	for (size_t i = 0; i < keep->count && result == 0; i++)
		result = kept_send(socket, KEPT_KEEP, &keep->at[i]);
	return result == 0 ? kept_send(socket, KEPT_END, NULL) : result;
}

static int
keep_one(struct keep *keep, struct kept *k)
{
	struct kept *own = keep_find(keep, k->path);

	if (own == NULL) {
		if (k->fds[KEPT_CARRIER] < 0 || k->fds[KEPT_TABLE] < 0)
			return KEPT_BY_NOBODY;
		own = keep_new(keep, k->path);
		if (own == NULL)
			return KEPT_BY_NOBODY;
		*own = *k;
		k->fds[KEPT_CARRIER] = k->fds[KEPT_TABLE] = k->fds[KEPT_LOCK] = -1;
		keep->managed = notify_store(own->path, own->fds, KEPT_FDS);
	}
	return keep->managed ? KEPT_BY_MANAGER : KEPT_BY_PARENT;
}

/* A connection ends with its last fd: the manager must have closed his when we answer. */
static void
keep_forget(struct keep *keep, const char *path)
{
	struct kept *own = keep_find(keep, path);

	if (own == NULL)
		return;
	kept_close(own);
	if (keep->managed)
		notify_forget(path);
	*own = keep->at[--keep->count];
}

int
keep_do(struct keep *keep, enum kept_act act, struct kept *k)
{
	int answer = 0;

	if (act == KEPT_KEEP)
		answer = keep_one(keep, k);
	else if (act == KEPT_FORGET)
		keep_forget(keep, k->path);
	kept_close(k);
	return answer;
}
