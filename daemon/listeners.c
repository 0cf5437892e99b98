/* SPDX-License-Identifier: MIT */
#include "daemon/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/daemon.h"
#include "daemon/files.h"
#include "daemon/status_row.h"
#include "egd/server/listener.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/net.h"
#include "lib/priv/connect_helper.h"

#define OTHER_FDS 256 /* that the daemon needs beside its clients */

unsigned
listeners_clients(const struct config *config)
{
	unsigned clients = 0;

	for (size_t i = 0; i < config->listen_count; i++)
		clients += config->listens[i].max_clients;
	return clients;
}

/* Raises the limit of open files to the configured number of clients, as far as it can. */
static void
make_room_for_clients(const struct daemon *d)
{
	rlim_t needed = listeners_clients(&d->config) + OTHER_FDS;
	struct rlimit limit;

	if (listeners_clients(&d->config) > d->pool_clients)
		log_warn("all max-clients together are more than the %u that the pool has room for:"
			 " more need a restart",
			 d->pool_clients);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed)
		log_warn("all max-clients together need %llu open files, and fewer are allowed:"
			 " raise RLIMIT_NOFILE (LimitNOFILE=)",
			 (unsigned long long)needed);
}

/* Returns the socket of systemd:NAME; -1: none. */
static int
listeners_given(const struct egd_listen_config *config)
{
	const char *name = egd_listener_rest(config->address, EGD_LISTEN_SYSTEMD);

	return name != NULL ? notify_socket(name) : -1;
}

/* ---- the store: connects wait in the backlog between two daemons ---- */

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
put_in_store(struct daemon *d, size_t i, const struct egd_server *server)
{
	int fd = egd_server_socket(server);
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

/* ---- helpers of xen: ---- */

static void
start_connector(struct connector *connector, const char *user,
		const struct egd_listen_config *listen)
{
	const char *directory = egd_listener_rest(listen->address, EGD_LISTEN_XEN);
	int result;

	connector->helper = HELPER_NONE;
	if (directory == NULL)
		return;
	result = connect_helper_start(&connector->helper, user, directory);
	if (result == 0) {
		memcpy(connector->address, listen->address, sizeof(connector->address));
		return;
	}
	log_err("listen %s: %s: %s%s", listen->name, directory, strerror(-result),
		result == -ENOENT ? ": is this Xen's dom0, and are its services started?" : "");
}

static bool
begin(struct daemon *d)
{
	for (size_t i = 0; i < d->config.listen_count; i++)
		start_connector(&d->connectors[i], d->user, &d->config.listens[i]);
	return true;
}

static void
finish(struct daemon *d)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (d->connectors[i].address[0] != '\0')
			helper_stop(&d->connectors[i].helper);
	tls_process_stop(d);
}

/* Returns the helper of an address; NULL after a line in the log. */
static struct helper *
find_connector(struct daemon *d, const struct egd_listen_config *listen)
{
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (strcmp(d->connectors[i].address, listen->address) == 0 &&
		    d->connectors[i].helper.fd >= 0)
			return &d->connectors[i].helper;
	log_err("listen %s: %s has no helper: only a start of the daemon has the privilege that it"
		" needs: restart the daemon",
		listen->name, listen->address);
	return NULL;
}

/* ---- life ---- */

/* Without the keys of TLS it waits, and its line is in the log. */
static bool
has_keys(const struct daemon *d, size_t i)
{
	return !egd_listener_is_tls(&d->config.listens[i]) || d->tls.good[i];
}

/* The service manager has the socket open, too: closing ours would not end the wait of a client. */
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
	log_warn("no [listen] takes the service manager's socket %s, so its clients wait:"
		 " add one with address = systemd:%s (a name is for one socket), or stop its"
		 " .socket unit",
		 name, name);
}

static bool
prepare(struct daemon *d)
{
	bool good = tls_process_start(d);

	make_room_for_clients(d);
	for (size_t i = 0; i < d->config.listen_count; i++) {
		bool waits = d->parts[PART_LISTEN][i].running == NULL && has_keys(d, i);

		d->previous[i] = waits ? take_previous(d, i) : -1;
	}
	notify_sockets(warn_if_unclaimed, d);
	return good;
}

static int
start(struct daemon *d, size_t i, void **ret)
{
	const struct egd_listen_config *config = &d->config.listens[i];
	bool xen = egd_listener_rest(config->address, EGD_LISTEN_XEN) != NULL;
	struct egd_server *server = NULL;
	int result, previous = d->previous[i];

	if (!has_keys(d, i))
		return -ENOKEY;
	result = egd_server_start(d->base, d->pool, config, listeners_given(config),
				  xen ? find_connector(d, config) : NULL, previous, &server);
	if (result < 0 && previous >= 0)
		remove_from_store(d, i);
	if (result < 0)
		return result;
	if (previous < 0)
		put_in_store(d, i, server);
	egd_server_use_tls(server, &d->tls.process.fd);
	*ret = server;
	return 0;
}

/* Closes the connections. The listening socket stays when the next daemon resumes it. */
static void
stop(struct daemon *d, size_t i, void *running)
{
	struct egd_server *server = running;
	bool stored = fd_store_works(d->store) && egd_server_socket(server) >= 0;

	egd_server_stop(&server, stored && d->restarting);
	if (stored && !d->restarting)
		remove_from_store(d, i);
}

bool
listeners_flush(struct daemon *d)
{
	bool flushed = true;

	for (size_t i = 0; i < PARTS_MAX; i++)
		if (d->parts[PART_LISTEN][i].running != NULL)
			flushed = egd_server_flush(d->parts[PART_LISTEN][i].running) && flushed;
	return flushed;
}

static unsigned
invalidate(void *running)
{
	return egd_server_renew(running);
}

/* Whether the directory of a Unix socket is there, or is that of the control socket. */
static bool
check(const struct config *config, size_t i)
{
	const struct egd_listen_config *listen = &config->listens[i];
	const char *path = egd_listener_rest(listen->address, EGD_LISTEN_UNIX);
	char directory[EGD_ADDRESS_MAX];
	int result = 0;

	if (path != NULL && !files_are_together(path, config->control)) {
		file_directory(path, directory, sizeof(directory));
		result = files_look_for(directory);
	}
	if (result < 0)
		log_err("listen %s: %s: %s: %s", listen->name, listen->address, directory,
			strerror(-result));
	return egd_listener_check(listen) && result == 0;
}

/* ---- status ---- */

/* How connections that were accepted have ended. */
static void
ended_rows(const struct status_subject *s, const uint64_t ended[static EGD_ENDS])
{
	for (unsigned i = 0; i < EGD_END_REFUSED; i++) {
		char key[32];

		snprintf(key, sizeof(key), "ended_%s", egd_end_text(i));
		status_row_number(s, key, ended[i]);
	}
}

static void
write_status(const struct daemon *d, size_t i, const void *running, struct evbuffer *out)
{
	const struct egd_listen_config *config = &d->config.listens[i];
	const struct status_subject s = {out, "listen", config->name};
	struct egd_server_status status;

	status_row_text(&s, "address", config->address);
	status_row_text(&s, "class", running != NULL ? "direct" : "none: it could not be opened");
	if (running == NULL)
		return;
	egd_server_status(running, &status);
	status_row_number(&s, "clients", status.clients);
	status_row_number(&s, "accepted", status.accepted);
	status_row_number(&s, "refused", status.ended[EGD_END_REFUSED]);
	status_row_number(&s, "delivered", status.account.delivered);
	status_row_number(&s, "lost", status.account.lost);
	status_row_number(&s, "requests", status.account.requests);
	status_row_number(&s, "waited", status.account.waited);
	status_row_number(&s, "throttled", status.throttled);
	ended_rows(&s, status.ended);
}

const struct part_functions listeners_part = {
	.section = "listen",
	.privileged = true,
	.begin = begin,
	.prepare = prepare,
	.start = start,
	.stop = stop,
	.finish = finish,
	.invalidate = invalidate,
	.status = write_status,
	.check = check,
};
