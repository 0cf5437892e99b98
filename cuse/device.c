/* SPDX-License-Identifier: MIT */
#include "cuse/device.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuse/conn.h"
#include "cuse/path_lock.h"
#include "cuse/requests.h"
#include "cuse/stored.h"
#include "cuse/watchdog.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/priv/lock.h"

/* One pass of the event loop takes less than 1 ms: after this long it hangs. */
#define DEVICE_HANG_MS 10000

/* First wait before a device that was ended from outside is published again; it doubles. */
#define DEVICE_RETRY_MIN_MS 1000
#define DEVICE_RETRY_MAX_MS 60000

struct device {
	struct event_base *base;
	struct device_config config; /* path resolved */
	struct fd_store *store;
	struct stored_device parts; /* `lock` is -1 where there is none: see path_lock_take() */
	bool stored;                /* else the device ends with this process */
	struct requests *requests;
	struct conn conn;
	struct event *readable, *retry; /* `retry` is pending while the device is not published */
	unsigned retry_ms;
	struct watchdog *watchdog;
};

static void device_ended(struct device *d, const char *cause);

/* ---- log lines of libfuse ---- */

static void
device_fuse_log(enum fuse_log_level level, const char *format, va_list args)
{
	static struct log_limit limit;
	char line[256];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (level > FUSE_LOG_WARNING)
		log_debug("libfuse: %s", line);
	else
		log_warn_limited(&limit, 0, clock_now_ms(), "libfuse: %s", line);
}

/* ---- the watchdog ---- */

static bool
device_watch_needed(void *arg)
{
	const struct device *d = arg;

	return d->parts.table->reads_pending > 0;
}

/* A stored device is resumed by the next daemon, so ending this process frees its readers. */
static void
device_hangs(void *arg)
{
	const struct device *d = arg;

	if (d->stored)
		abort();
	conn_abort(&d->conn);
	log_err("%s: the event loop hangs: the connection was ended, to set its readers free",
		d->config.path);
}

static void
device_revived(void *arg)
{
	device_ended(arg, "the event loop turns again");
}

/* ---- publishing ---- */

static void
device_set_conn(struct device *d, const struct conn_kind *kind)
{
	d->conn = (struct conn){.kind = kind,
				.path = d->config.path,
				.mode = d->config.mode,
				.requests = d->requests};
}

static int
device_open_as(struct device *d, const struct conn_kind *kind)
{
	device_set_conn(d, kind);
	return conn_open(&d->conn);
}

/*
 * Opens CUSE, or FUSE where the kernel has no CUSE: a name that CUSE refused would be in the way of
 * FUSE too. The reason for FUSE, or for neither, is in `why`.
 */
static int
device_open_any(struct device *d, char why[static CONN_PROBLEM_MAX])
{
	int result;

	if (d->config.via == DEVICE_VIA_FUSE) {
		snprintf(why, CONN_PROBLEM_MAX, "the configuration says so");
		return device_open_as(d, &conn_fuse);
	}
	result = device_open_as(d, &conn_cuse);
	memcpy(why, d->conn.problem, CONN_PROBLEM_MAX);
	if (d->config.via == DEVICE_VIA_CUSE || result != -ENODEV)
		return result;
	result = device_open_as(d, &conn_fuse);
	return result == -EACCES ? -ENODEV : result; /* this user may have neither */
}

/* Writes one line to the log either way. */
static int
device_open(struct device *d)
{
	char why[CONN_PROBLEM_MAX];
	int result = device_open_any(d, why);
	const struct conn *c = &d->conn;

	if (result < 0 && c->kind == &conn_fuse && d->config.via == DEVICE_VIA_AUTO)
		log_err("%s: not published: %s; and %s", c->path, why, c->problem);
	else if (result < 0)
		log_err("%s: not published: %s", c->path, c->problem);
	else if (c->kind == &conn_fuse)
		log_info("%s: served by FUSE, because %s; programs that seek or splice fail or "
			 "read nothing: see README.md, What works on the device",
			 c->path, why);
	else
		log_info("%s: served by CUSE%s", c->path,
			 c->mode_is_udevs
				 ? "; udev's rules set its mode, since the daemon is not root"
				 : "");
	return result;
}

static void
device_readable(evutil_socket_t fd, short events, void *arg)
{
	struct device *d = arg;
	int result;

	(void)fd, (void)events;
	watchdog_watch(d->watchdog);
	result = conn_drain(&d->conn);
	if (result < 0)
		device_ended(d, "the connection was ended from outside (unmounted, aborted)");
}

static int
device_serve(struct device *d)
{
	const struct watchdog_config watch = {
		.limit_ms = DEVICE_HANG_MS,
		.needed = device_watch_needed,
		.abort = device_hangs,
		.revived = device_revived,
		.arg = d,
	};
	int result = watchdog_start(d->base, &watch, &d->watchdog);

	if (result < 0)
		return result;
	d->readable = event_new(d->base, d->conn.fd, EV_READ | EV_PERSIST, device_readable, d);
	return d->readable != NULL && event_add(d->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static void
device_withdraw(struct device *d)
{
	watchdog_stop(&d->watchdog);
	if (d->readable != NULL)
		event_free(d->readable);
	d->readable = NULL;
	if (d->stored) /* first: a connection ends with its last fd */
		stored_remove(d->store, d->config.name);
	d->stored = false;
	if (d->conn.session != NULL)
		conn_close(&d->conn);
}

static void
device_put_in_store(struct device *d)
{
	struct table *t = d->parts.table;

	memcpy(t->path, d->config.path, sizeof(t->path));
	t->mode = d->config.mode;
	d->parts.connection = d->conn.fd;
	d->stored = stored_put(d->store, d->config.name, &d->parts);
}

static int
device_publish(struct device *d)
{
	int result = d->parts.lock >= 0 ? path_lock_clear(d->config.path) : 0;

	if (result == 0)
		result = device_open(d);
	if (result < 0)
		return result;
	d->parts.table->generation = 0;
	device_put_in_store(d);
	result = device_serve(d);
	if (result < 0) {
		log_err("%s: not published: %s", d->config.path, strerror(-result));
		device_withdraw(d);
	}
	return result;
}

/* ---- publishing again ---- */

static void
device_retry_later(struct device *d)
{
	struct timeval wait = clock_timeval(d->retry_ms);

	event_add(d->retry, &wait);
	d->retry_ms = d->retry_ms * 2 < DEVICE_RETRY_MAX_MS ? d->retry_ms * 2 : DEVICE_RETRY_MAX_MS;
}

static void
device_retry(evutil_socket_t fd, short events, void *arg)
{
	struct device *d = arg;

	(void)fd, (void)events;
	if (device_publish(d) < 0)
		device_retry_later(d);
}

/* While the daemon lives the device is there. Its open files are dead, new ones work. */
static void
device_ended(struct device *d, const char *cause)
{
	log_err("%s: %s: publishing it again", d->config.path, cause);
	device_withdraw(d);
	d->retry_ms = DEVICE_RETRY_MIN_MS;
	device_retry_later(d);
}

/* ---- resuming ---- */

/* Returns why its open files cannot go on with this configuration; NULL: they can. */
static const char *
device_change(const struct device *d, const struct table *t)
{
	bool cuse = t->init_opcode == CUSE_INIT;

	if (strcmp(t->path, d->config.path) != 0)
		return "its path was changed";
	if (t->mode != d->config.mode)
		return "its mode was changed";
	if (d->config.via == (cuse ? DEVICE_VIA_FUSE : DEVICE_VIA_CUSE))
		return "via was changed";
	return NULL;
}

/* Takes `fd`. Returns NULL, or why not; then nothing in d->conn is open. */
static const char *
device_resume_conn(struct device *d, int fd)
{
	bool cuse = d->parts.table->init_opcode == CUSE_INIT;

	device_set_conn(d, cuse ? &conn_cuse : &conn_fuse);
	return conn_resume(&d->conn, fd) < 0 ? d->conn.problem : NULL;
}

static void
device_log_change(const struct device *d, const char *problem)
{
	log_warn("%s: cannot be resumed and is published again, its open files end: %s",
		 d->config.path, problem);
}

static int
device_resume(struct device *d, int fd)
{
	const char *problem = device_resume_conn(d, fd);
	int result;

	if (problem != NULL) {
		device_log_change(d, problem);
		stored_remove(d->store, d->config.name);
		table_clear(d->parts.table);
		return -ESTALE;
	}
	log_info("%s: resumed by %s; open files: %u, blocked reads: %u", d->config.path,
		 d->conn.kind->name, d->parts.table->files_open, d->parts.table->reads_pending);
	device_put_in_store(d);
	result = device_serve(d);
	if (result < 0)
		device_withdraw(d);
	return result;
}

/* ---- the module's calls ---- */

static void
device_free(struct device *d)
{
	device_withdraw(d);
	if (d->retry != NULL)
		event_free(d->retry);
	requests_free(&d->requests);
	table_free(&d->parts.table);
	if (d->parts.table_fd >= 0)
		close(d->parts.table_fd);
	if (d->parts.lock >= 0)
		priv_unlock(d->config.path, d->parts.lock);
	free(d);
}

static int
device_claim(struct device *d)
{
	int *lock = &d->parts.lock;

	if (*lock >= 0)
		(void)priv_lock_resume(d->config.path, *lock);
	else
		*lock = path_lock_take(d->config.path);
	return *lock < 0 && *lock != -EACCES ? *lock : 0;
}

static int
device_prepare(struct device *d, struct pool *pool)
{
	int result = device_claim(d);

	if (result < 0)
		return result;
	if (d->parts.table == NULL)
		d->parts.table = table_new(&d->parts.table_fd);
	if (d->parts.table != NULL)
		d->requests = requests_new(pool, d->parts.table, d->config.path);
	d->retry = evtimer_new(d->base, device_retry, d);
	if (d->requests != NULL && d->retry != NULL)
		return 0;
	log_err("%s: not published: no memory", d->config.path);
	return -ENOMEM;
}

/* Ends the device of the previous daemon, with the mount that it left at its path. */
static void
discard(struct fd_store *store, const char *name, struct stored_device *stored)
{
	char path[TABLE_PATH_MAX] = "";
	int lock = stored->lock;

	if (stored->table != NULL)
		memcpy(path, stored->table->path, sizeof(path));
	stored->lock = -1;
	stored_discard(store, name, stored);
	if (lock >= 0)
		path_lock_discard(path, lock);
}

static int
device_begin(struct device *d, struct pool *pool)
{
	const char *change = NULL;
	int connection, result;

	stored_take(d->store, d->config.name, &d->parts);
	if (d->parts.table != NULL)
		change = device_change(d, d->parts.table);
	if (change != NULL) {
		device_log_change(d, change);
		discard(d->store, d->config.name, &d->parts);
	}
	connection = d->parts.connection;
	result = device_prepare(d, pool);
	if (result < 0 && connection >= 0) {
		stored_remove(d->store, d->config.name);
		close(connection);
	}
	if (result < 0)
		return result;
	if (connection >= 0 && device_resume(d, connection) == 0)
		return 0;
	return device_publish(d);
}

void
device_discard(struct fd_store *store, const char *name)
{
	struct stored_device stored;

	stored_take(store, name, &stored);
	discard(store, name, &stored);
}

int
device_start(struct event_base *base, struct pool *pool, struct fd_store *store,
	     const struct device_config *config, struct device **ret)
{
	struct device *d = calloc(1, sizeof(*d));
	int result;

	if (d == NULL)
		return -ENOMEM;
	fuse_set_log_func(device_fuse_log);
	d->base = base;
	d->store = store;
	d->config = *config;
	d->parts = (struct stored_device){.connection = -1, .lock = -1, .table_fd = -1};
	result = path_lock_resolve(config->path, d->config.path, sizeof(d->config.path));
	if (result == 0)
		result = device_begin(d, pool);
	if (result < 0) {
		device_free(d);
		return result;
	}
	*ret = d;
	return 0;
}

void
device_stop(struct device **device)
{
	if (*device != NULL)
		device_free(*device);
	*device = NULL;
}

void
device_unlock(struct device *d)
{
	if (d->parts.lock < 0 || d->stored || d->conn.kind == &conn_fuse)
		return;
	priv_unlock(d->config.path, d->parts.lock);
	d->parts.lock = -1;
}

void
device_status(const struct device *d, struct device_status *ret)
{
	*ret = (struct device_status){
		.name = d->config.name,
		.path = d->config.path,
		.via = d->conn.session == NULL ? "none" : d->conn.kind->name,
		.opens = d->parts.table->files_open,
		.interrupted = d->parts.table->interrupted,
		.account = d->parts.table->account,
		.stored = d->stored,
	};
}
