/* SPDX-License-Identifier: MIT */
#include "priv/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* The parent itself may wait for the service manager; who does not answer by then never will. */
#define HANDOVER_ANSWER_MS 10000

struct handover {
	int fd;
	size_t count;
	struct kept kept[KEPT_MAX];
};

static int
handover_receive_all(struct handover *h)
{
	enum kept_act act;
	struct kept k;
	int result;

	while ((result = kept_receive(h->fd, &act, &k)) == 0 && act == KEPT_KEEP) {
		if (h->count < KEPT_MAX)
			h->kept[h->count++] = k;
		else
			kept_close(&k);
	}
	return result;
}

struct handover *
handover_new(int fd)
{
	struct handover *h = calloc(1, sizeof(*h));
	int result = -ENOMEM;

	if (h != NULL) {
		h->fd = fd;
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		result = handover_receive_all(h);
	}
	if (result == 0)
		return h;
	log_err("cannot hear what our parent keeps for us: %s", strerror(-result));
	free(h);
	return NULL;
}

void
handover_free(struct handover **handover)
{
	struct handover *h = *handover;

	*handover = NULL;
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->count; i++)
		kept_close(&h->kept[i]);
	close(h->fd);
	free(h);
}

bool
handover_take_any(struct handover *h, struct kept *ret)
{
	if (h == NULL || h->count == 0)
		return false;
	*ret = h->kept[--h->count];
	return true;
}

/* The first whose path begins so. */
static bool
handover_take_like(struct handover *h, const char *path, size_t len, struct kept *ret)
{
	for (size_t i = 0; h != NULL && i < h->count; i++) {
		if (strncmp(h->kept[i].path, path, len) != 0)
			continue;
		*ret = h->kept[i];
		h->kept[i] = h->kept[--h->count];
		return true;
	}
	return false;
}

bool
handover_take(struct handover *h, const char *path, struct kept *ret)
{
	return handover_take_like(h, path, strlen(path) + 1, ret);
}

bool
handover_take_clients(struct handover *h, struct kept *ret)
{
	return handover_take_like(h, KEPT_CLIENTS, strlen(KEPT_CLIENTS), ret);
}

static int
handover_ask(struct handover *h, enum kept_act act, const struct kept *k)
{
	int result = kept_send(h->fd, act, k);

	return result < 0 ? result : kept_await(h->fd, HANDOVER_ANSWER_MS);
}

enum kept_by
handover_keep(struct handover *h, const struct kept *k)
{
	int result = h == NULL ? KEPT_BY_NOBODY : handover_ask(h, KEPT_KEEP, k);

	if (result >= 0)
		return (enum kept_by)result;
	log_warn("%s: our parent does not keep it: %s: it will end with this process", k->path,
		 strerror(-result));
	return KEPT_BY_NOBODY;
}

void
handover_forget(struct handover *h, const char *path)
{
	struct kept k = {.fds = {-1, -1, -1}};
	int result;

	snprintf(k.path, sizeof(k.path), "%s", path);
	result = handover_ask(h, KEPT_FORGET, &k);
	if (result < 0)
		log_err("%s: our parent does not let go of it: %s", path, strerror(-result));
}

void
handover_ready(struct handover *h)
{
	if (h != NULL)
		(void)handover_ask(h, KEPT_READY, NULL);
}
