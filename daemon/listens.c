/* SPDX-License-Identifier: MIT */
#include "daemon/listens.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/net.h"
#include "daemon/daemon.h"
#include "daemon/parts.h"
#include "daemon/row.h"
#include "egd/listener.h"

#define OTHER_FDS 256 /* that the daemon needs beside its clients */

unsigned
listens_clients(const struct config *config)
{
	unsigned clients = 0;

	for (size_t i = 0; i < config->listen_count; i++)
		clients += config->listens[i].max_clients;
	return clients;
}

/* A client is a file descriptor: takes as many of them as are asked for, within what is allowed. */
static void
make_room_for_clients(const struct daemon *d)
{
	rlim_t needed = listens_clients(&d->config) + OTHER_FDS;
	struct rlimit limit;

	if (listens_clients(&d->config) > d->pool_clients)
		log_warn("all max-clients together are more than the %u that the pool was made for:"
			 " to have them all needs a restart",
			 d->pool_clients);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed)
		log_warn("all max-clients together need %llu open files, and fewer are allowed:"
			 " raise RLIMIT_NOFILE (LimitNOFILE=)",
			 (unsigned long long)needed);
}

/* The socket of systemd:NAME; -1: none. */
static int
listens_given(const struct egd_listen_config *config)
{
	const char *name = egd_listener_rest(config->address, EGD_LISTEN_SYSTEMD);

	return name != NULL ? notify_socket(name) : -1;
}

/* ---- the store: connects wait in the backlog while one daemon ends and the next starts ---- */

static const char *
stored_name(const struct egd_listen_config *config, char ret[static FD_STORE_NAME_MAX])
{
	snprintf(ret, FD_STORE_NAME_MAX, FD_STORE_PREFIX "listen.%s", config->name);
	return ret;
}

static void
remove_from_store(struct daemon *d, size_t i)
{
	char name[FD_STORE_NAME_MAX];

	fd_store_remove(d->store, stored_name(&d->config.listens[i], name));
	(void)fd_store_wait(d->store);
}

static void
put_in_store(struct daemon *d, size_t i)
{
	int fd = egd_server_socket(d->listens[i]);
	char name[FD_STORE_NAME_MAX];

	if (fd < 0)
		return;
	fd_store_put(d->store, stored_name(&d->config.listens[i], name), fd);
	(void)fd_store_wait(d->store);
}

/*
 * Takes the socket of the previous daemon out of the store. One that cannot be resumed is closed,
 * there too: it must not be in the way of those that are opened next.
 */
static int
take_previous(struct daemon *d, size_t i)
{
	const struct egd_listen_config *config = &d->config.listens[i];
	char name[FD_STORE_NAME_MAX];
	int fd = fd_store_take(d->store, stored_name(config, name));

	if (fd < 0 || egd_listener_resumes(config, fd))
		return fd;
	remove_from_store(d, i);
	net_unix_discard(fd);
	return -1;
}

/* Ends a listener. Its socket stays when the next daemon resumes it. */
static void
stop_one(struct daemon *d, size_t i)
{
	bool stored = d->listens[i] != NULL && fd_store_works(d->store) &&
		      egd_server_socket(d->listens[i]) >= 0;

	egd_server_stop(&d->listens[i], stored && d->restarting);
	if (stored && !d->restarting)
		remove_from_store(d, i);
}

/* ---- life ---- */

/* Without the keys of TLS it waits, and its line is in the log. */
static bool
has_keys(const struct daemon *d, size_t i)
{
	return !egd_listener_is_tls(&d->config.listens[i]) || d->tls.good[i];
}

static bool
start_one(struct daemon *d, size_t i, int previous)
{
	const struct egd_listen_config *config = &d->config.listens[i];
	struct helper *connector = NULL;
	int result;

	if (d->listens[i] != NULL || !has_keys(d, i))
		return d->listens[i] != NULL;
	if (egd_listener_rest(config->address, EGD_LISTEN_XEN) != NULL)
		connector = connectors_find(d, config);
	result = egd_server_start(d->base, d->pool, config, listens_given(config), connector,
				  previous, &d->listens[i]);
	if (result == 0 && previous < 0)
		put_in_store(d, i);
	else if (result < 0 && previous >= 0)
		remove_from_store(d, i);
	if (result == 0)
		egd_server_use_tls(d->listens[i], &d->tls.process.fd);
	return result == 0;
}

/* The service manager has it open, too, so that closing ours would end no client's wait. */
static void
warn_if_unclaimed(void *arg, const char *name, int fd)
{
	const struct daemon *d = arg;

	for (size_t i = 0; i < d->config.listen_count; i++) {
		const char *given =
			egd_listener_rest(d->config.listens[i].address, EGD_LISTEN_SYSTEMD);

		if (given != NULL && notify_socket(given) == fd)
			return;
	}
	log_warn("no [listen] takes the service manager's socket %s, whose clients wait for ever:"
		 " add one with address = systemd:%s (a name is for one socket), or stop its"
		 " .socket unit",
		 name, name);
}

bool
listens_start(struct daemon *d)
{
	int previous[CONFIG_LISTENS_MAX];
	bool good = true;

	make_room_for_clients(d);
	for (size_t i = 0; i < d->config.listen_count; i++)
		previous[i] = d->listens[i] == NULL && has_keys(d, i) ? take_previous(d, i) : -1;
	for (size_t i = 0; i < d->config.listen_count; i++)
		good = start_one(d, i, previous[i]) && good; /* NOLINT: the count is the same */
	notify_sockets(warn_if_unclaimed, d);
	return good;
}

/* Takes the one that runs as `config` says out of its place; NULL: none does. */
static struct egd_server *
listens_take(struct daemon *d, const struct egd_listen_config *config)
{
	for (size_t i = 0; i < d->config.listen_count; i++) {
		struct egd_server *server = d->listens[i];

		if (server != NULL && config_equal("listen", config, &d->config.listens[i])) {
			d->listens[i] = NULL;
			return server;
		}
	}
	return NULL;
}

void
listens_keep(struct daemon *d, const struct config *next)
{
	struct egd_server *kept[CONFIG_LISTENS_MAX] = {NULL};

	for (size_t i = 0; i < next->listen_count; i++)
		kept[i] = listens_take(d, &next->listens[i]);
	for (size_t i = 0; i < d->config.listen_count; i++)
		if (d->listens[i] != NULL)
			log_info("listen %s: closed", d->config.listens[i].name);
	listens_stop(d);
	memcpy(d->listens, kept, sizeof(kept));
}

void
listens_stop(struct daemon *d)
{
	for (size_t i = 0; i < d->config.listen_count; i++)
		stop_one(d, i);
}

bool
listens_flush(struct daemon *d)
{
	bool flushed = true;

	for (size_t i = 0; i < CONFIG_LISTENS_MAX; i++)
		if (d->listens[i] != NULL)
			flushed = egd_server_flush(d->listens[i]) && flushed;
	return flushed;
}

/* ---- status ---- */

/* How those ended who had come in. */
static void
ended_rows(const struct row_subject *s, const uint64_t ended[static EGD_ENDS])
{
	for (unsigned i = 0; i < EGD_END_REFUSED; i++) {
		char key[32];

		snprintf(key, sizeof(key), "ended_%s", egd_end_text(i));
		row_number(s, key, ended[i]);
	}
}

static void
listen_rows(const struct egd_server *server, struct evbuffer *out)
{
	struct egd_server_status status;
	struct row_subject s = {out, "listen", NULL};

	egd_server_status(server, &status);
	s.name = status.name;
	row_text(&s, "address", status.address);
	row_text(&s, "class", "direct");
	row_number(&s, "clients", status.clients);
	row_number(&s, "accepted", status.accepted);
	row_number(&s, "refused", status.ended[EGD_END_REFUSED]);
	row_number(&s, "delivered", status.account.delivered);
	row_number(&s, "lost", status.account.lost);
	row_number(&s, "requests", status.account.requests);
	row_number(&s, "waited", status.account.waited);
	row_number(&s, "throttled", status.throttled);
	ended_rows(&s, status.ended);
}

/* Configured, and not there: the log said why. */
static void
no_listen_rows(const struct daemon *d, const struct egd_listen_config *config, struct evbuffer *out)
{
	const struct row_subject s = {out, "listen", config->name};
	char text[PARTS_TEXT_MAX];

	row_text(&s, "address", config->address);
	row_text(&s, "class", "none: it could not be opened");
	row_text(&s, "state", parts_waiting_text(d, text));
}

void
listens_status(const struct daemon *d, struct evbuffer *out)
{
	for (size_t i = 0; i < d->config.listen_count; i++) {
		if (d->listens[i] != NULL)
			listen_rows(d->listens[i], out);
		else
			no_listen_rows(d, &d->config.listens[i], out);
	}
}
