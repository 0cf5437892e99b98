/* SPDX-License-Identifier: MIT */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/clones.h"
#include "daemon/cmd_seed.h"
#include "daemon/devices.h"
#include "daemon/files.h"
#include "daemon/haproxy.h"
#include "daemon/hwreport.h"
#include "daemon/privileges.h"
#include "daemon/reload.h"
#include "daemon/status.h"
#include "egd/server/listener.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/priv/mounter.h"
#include "lib/priv/sandbox.h"
#include "lib/secret.h"
#include "lib/version.h"

/*
 * Open devices at once, and as many who may wait: 170 and 340 bytes each, when used. Listeners say
 * themselves how many clients they take; all of these may be one identity, which has a quarter.
 */
#define HANDLES_FOR_DEVICES 4096
#define HANDLES_PER_CLIENT 4

/* How long a stop waits for clients to take the replies that were begun. */
#define FLUSH_MS 500
#define FLUSH_STEP_MS 10

/* ---- parts ---- */

static bool
start_pool(struct daemon *d)
{
	unsigned handles = HANDLES_FOR_DEVICES + HANDLES_PER_CLIENT * listeners_clients(&d->config);
	size_t reserve = d->config.kernel_on ? d->config.pool_reserve : 0;
	const struct pool_config config = {.size = d->config.pool_size + reserve,
					   .reserve = reserve,
					   .max_handles = handles,
					   .max_waiters = handles};

	d->pool = pool_new(&config);
	if (d->pool == NULL) {
		log_err("no memory for a pool of %zu bytes", config.size);
		return false;
	}
	d->pool_size = d->config.pool_size;
	d->pool_clients = listeners_clients(&d->config);
	log_info("pool: %zu bytes", d->pool_size);
	return true;
}

static bool
start_keyring(struct daemon *d)
{
	d->keyring = files_read_keyring(&d->config);
	d->keyring_seen = d->keyring;
	return d->keyring != NULL;
}

static const char *
on_status(void *arg, const struct ctl_request *request)
{
	status_write(arg, request->out);
	return NULL;
}

/* /run is empty after a boot: a daemon that is started by hand makes its directory there. */
static void
make_control_dir(const struct daemon *d)
{
	char dir[CONFIG_SOCKET_MAX];
	int result;

	file_directory(d->config.control, dir, sizeof(dir));
	if (mkdir(dir, 0755) != 0)
		return;
	log_info("made %s", dir);
	result = d->user != NULL && geteuid() == 0 ? privileges_give(dir, d->user) : 0;
	if (result < 0)
		log_warn("%s: cannot be given to %s: %s", dir, d->user, strerror(-result));
}

/* Returns the cure of an error of ctl_server_new(), to follow it. */
static const char *
control_cure(int error)
{
	return error == ENOENT   ? "; make its directory"
	       : error == EEXIST ? " and is no socket: remove it, or choose another path"
				 : "";
}

static bool
start_control(struct daemon *d)
{
	static const struct ctl_command commands[] = {
		{.name = "Status", .run = on_status},
		{.name = "HwReport", .words = true, .run = hwreport_write},
		{.name = "RekeyStart", .admin = true, .words = true, .run = cmd_rekey_start},
		{.name = "RekeyFinish", .admin = true, .words = true, .run = cmd_rekey_finish},
		{.name = "Seed",
		 .admin = true,
		 .secret = true,
		 .run = cmd_seed,
		 .gone = cmd_seed_gone},
		{.name = "Wipe", .admin = true, .run = clones_wipe},
		{.name = "Drain", .admin = true, .run = haproxy_drain},
		{.name = "Resume", .admin = true, .run = haproxy_resume},
		{.name = "Keyring", .admin = true, .run = cmd_keyring},
		{.name = NULL},
	};
	int result;

	make_control_dir(d);
	result = ctl_server_new(d->base, d->config.control, d->config.control_mode, commands, d,
				&d->control);
	if (result == -EADDRINUSE)
		log_err("control socket %s: another daemon answers there", d->config.control);
	else if (result < 0)
		log_err("control socket %s: %s%s", d->config.control, strerror(-result),
			control_cure(-result));
	else
		log_info("control socket %s", d->config.control);
	return result == 0;
}

static void
note_if_lost(const char *path, int how, const char *consequence)
{
	if (faccessat(AT_FDCWD, path, how, AT_EACCESS) != 0)
		log_info("%s: %s for this user: %s", path, strerror(errno), consequence);
}

/* False after a line in the log. */
static bool
become_user(struct daemon *d)
{
	bool chosen = d->config.user[0] != '\0';
	char dir[CONFIG_SOCKET_MAX];
	int result;

	result = privileges_drop(d->user);
	if (result == -EPERM && !chosen) {
		log_warn("cannot become user %s: %s: the daemon stays root", d->user,
			 strerror(-result));
		return true;
	}
	if (result < 0) {
		log_err("cannot become user %s: %s", d->user,
			result == -ENOENT ? "no such user" : strerror(-result));
		return false;
	}
	log_info("now user %s; devices added or changed later need a restart", d->user);
	note_if_lost(d->config_path, R_OK, "a reload will change nothing");
	note_if_lost(d->config.keyring, R_OK, "a reload will change nothing");
	file_directory(d->config.control, dir, sizeof(dir));
	note_if_lost(dir, W_OK, "a stop will leave the control socket");
	return true;
}

static bool
drop_privileges(struct daemon *d)
{
	bool by_fusermount;
	int result;

	if (d->user != NULL) {
		devices_unlock(d);
		if (!become_user(d))
			return false;
	}
	by_fusermount = geteuid() != 0 && !mounter_is_there() && devices_may_be_mounts(d);
	result = privileges_seal(by_fusermount);
	if (result < 0)
		log_err("cannot give up capabilities: %s: the service needs"
			" SystemCallFilter=capset",
			strerror(-result));
	return result == 0;
}

/* ---- the service manager ---- */

static void
on_service_status(void *arg, char *ret, size_t size)
{
	status_line(arg, ret, size);
}

static bool
start_watchdog(struct daemon *d)
{
	if (notify_watchdog_start(d->base, on_service_status, d, &d->watchdog) == 0)
		return true;
	log_err("no memory for the service manager's watchdog");
	return false;
}

/* Units that are ordered after this service may start now. */
static void
say_ready(const struct daemon *d)
{
	char line[NOTIFY_STATUS_MAX];

	status_line(d, line, sizeof(line));
	notify_ready(line);
}

/* ---- signals ---- */

static void
on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_info("%s: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
	event_base_loopbreak(d->base);
}

static void
on_reload_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)number, (void)what;
	notify_reloading();
	reload(d);
	say_ready(d);
}

static void
on_restart_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)number, (void)what;
	if (!fd_store_works(d->store)) {
		log_warn(
			"SIGUSR2: ignored: no service manager starts the next daemon; stop this one"
			" and start ekey-randomd again");
		return;
	}
	log_info("SIGUSR2: restarting");
	d->restarting = true;
	event_base_loopbreak(d->base);
}

static const struct {
	int number;
	event_callback_fn fn;
} signals[DAEMON_SIGNALS] = {{SIGTERM, on_stop_signal},
			     {SIGINT, on_stop_signal},
			     {SIGHUP, on_reload_signal},
			     {SIGUSR2, on_restart_signal}};

/* Blocks or unblocks them: before their handlers are there a SIGHUP would end the daemon. */
static void
mask_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < DAEMON_SIGNALS; i++)
		sigaddset(&set, signals[i].number);
	sigprocmask(how, &set, NULL);
}

static bool
start_loop(struct daemon *d)
{

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* when it is ignored, fusermount3 has no status */
	d->base = event_base_new();
	if (d->base == NULL)
		return false;
	for (size_t i = 0; i < DAEMON_SIGNALS; i++) {
		d->signals[i] = evsignal_new(d->base, signals[i].number, signals[i].fn, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) != 0)
			return false;
	}
	mask_signals(SIG_UNBLOCK);
	return true;
}

/* ---- the whole ---- */

/* Called once, when all memory for secrets is allocated. */
static void
warn_if_unlocked(void)
{
	size_t bytes = secret_unlocked_bytes();

	if (bytes > 0)
		log_warn("%zu bytes of entropy and keys could not be locked and may be swapped:"
			 " raise RLIMIT_MEMLOCK (LimitMEMLOCK=)",
			 bytes);
}

/* Drops the capabilities that helpers and the kernel's log have used; others may be for sockets. */
static bool
start_helpers(struct daemon *d)
{
	const uint64_t spent = UINT64_C(1) << CAP_SYSLOG | UINT64_C(1) << CAP_SYS_ADMIN |
			       UINT64_C(1) << CAP_DAC_OVERRIDE;
	int result = 0;

	if (!parts_begin(d))
		return false;
	clones_prepare(d);
	if (geteuid() != 0)
		result = capability_keep_only(~spent);
	if (result < 0)
		log_err("cannot give up capabilities: %s: the service needs"
			" SystemCallFilter=capset",
			strerror(-result));
	return result == 0;
}

/* ---- the store ---- */

static void
on_healthy(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)what;
	starts_succeeded(&d->starts);
}

static bool
start_health_timer(struct daemon *d)
{
	const struct timeval wait = {.tv_sec = STARTS_HEALTHY_MS / 1000,
				     .tv_usec = STARTS_HEALTHY_MS % 1000 * 1000};

	if (!fd_store_works(d->store))
		return true;
	d->healthy = evtimer_new(d->base, on_healthy, d);
	return d->healthy != NULL && event_add(d->healthy, &wait) == 0;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	parts_start(arg);
}

/*
 * False after a line in the log. A device whose path is taken ends the start of a daemon, unless
 * the devices of a previous one wait to be resumed.
 */
static bool
start_parts(struct daemon *d)
{
	bool resumes = fd_store_count(d->store) > 0, good;

	if (!retry_init(&d->retry, d->base, on_retry, d))
		return false;
	d->privileged = true;
	good = parts_start_privileged(d);
	if (!drop_privileges(d))
		return false;
	d->privileged = false;
	starts_resuming(&d->starts);
	good = parts_start_others(d) && good;
	if (devices_are_taken(d) && !resumes)
		return false;
	if (!devices_may_be_mounts(d))
		mounter_stop();
	if (!good)
		retry_later(&d->retry);
	return true;
}

static bool
daemon_start(struct daemon *d)
{
	return start_helpers(d) && start_loop(d) && start_pool(d) && start_keyring(d) &&
	       start_control(d) && clones_start(d) && start_parts(d) && start_watchdog(d) &&
	       start_health_timer(d);
}

static void
free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

/* Stops all parts; of a daemon that restarts not those that the next one resumes. */
static void
stop_parts(struct daemon *d)
{
	notify_stopping();
	notify_watchdog_stop(&d->watchdog);
	retry_finish(&d->retry);
	clones_stop(d);
	for (unsigned ms = 0; ms < FLUSH_MS && !listeners_flush(d); ms += FLUSH_STEP_MS)
		usleep(FLUSH_STEP_MS * 1000);
	parts_stop(d);
	ctl_server_free(&d->control);
	files_free_keyring(&d->keyring);
}

/* A device that is freed is withdrawn: stored ones are left as they are, with all their memory. */
static _Noreturn void
daemon_restart(struct daemon *d)
{
	stop_parts(d);
	pool_wipe(d->pool);
	starts_succeeded(&d->starts);
	log_info("stopped: the next daemon resumes");
	_exit(DAEMON_EXIT_RESTART);
}

static void
daemon_stop(struct daemon *d)
{
	stop_parts(d);
	starts_finish(&d->starts);
	pool_free(&d->pool);
	for (size_t i = 0; i < DAEMON_SIGNALS; i++)
		free_event(d->signals[i]);
	free_event(d->healthy);
	if (d->base != NULL)
		event_base_free(d->base);
}

/* Waits when the daemons before this one crashed at their start; a signal ends it. */
static void
begin_start(struct daemon *d)
{
	unsigned delay_ms;

	starts_begin(&d->starts, d->store);
	delay_ms = starts_delay_ms(&d->starts);
	if (delay_ms == 0)
		return;
	log_warn("the last %u daemons ended within a second of their start: waiting %u ms",
		 d->starts.count.early, delay_ms);
	usleep(delay_ms * 1000);
}

static int
run(struct daemon *d)
{
	bool started;

	d->user = privileges_user(d->config.user);
	started = daemon_start(d);

	if (started) {
		warn_if_unlocked();
		starts_ready(&d->starts);
		say_ready(d);
		event_base_dispatch(d->base);
	}
	if (d->restarting)
		daemon_restart(d);
	daemon_stop(d);
	log_info("stopped");
	return started ? 0 : DAEMON_EXIT_FAILED;
}

int
daemon_run(const char *config_path)
{
	struct daemon d = {.config_path = config_path,
			   .started_ms = clock_now_ms(),
			   .tls.process = HELPER_NONE};
	int status = DAEMON_EXIT_FAILED;

	mask_signals(SIG_BLOCK);
	secret_shield();
	d.store = fd_store_new();
	if (d.store == NULL)
		return status;
	begin_start(&d);
	if (files_read_config(config_path, &d.config)) {
		log_info("ekey-randomd %s: %s", VERSION, config_path);
		starts_discard(&d.starts, d.store, &d.config);
		status = run(&d);
	} else if (fd_store_count(d.store) == 0) {
		status = DAEMON_EXIT_CONFIG;
	}
	fd_store_free(&d.store);
	return status;
}

/* ---- the check ---- */

/* make_control_dir() makes a directory that is missing in one that is there. */
static bool
check_control(const char *control)
{
	char dir[CONFIG_SOCKET_MAX], above[CONFIG_SOCKET_MAX];
	int result;

	file_directory(control, dir, sizeof(dir));
	file_directory(dir, above, sizeof(above));
	result = files_look_for(dir);
	if (result == -ENOENT)
		result = files_look_for(above);
	if (result < 0)
		log_err("control socket %s: %s: %s%s", control, dir, strerror(-result),
			control_cure(-result));
	return result == 0;
}

static bool
check_user(const char *user)
{
	bool good = user[0] == '\0' || getpwnam(user) != NULL;

	if (!good)
		log_err("user = %s: no such user", user);
	return good;
}

/* Whether the machine has what the configuration names: each thing that is missing is a line. */
static bool
check_machine(const struct config *config)
{
	bool good = check_user(config->user);

	good = check_control(config->control) && good;
	good = parts_check(config) && good;
	return tls_process_check(config) && good;
}

static void
warn_if_empty(const char *path, const struct config *config)
{
	if (config->source_count == 0 && config->device_count == 0 && config->listen_count == 0 &&
	    !config->kernel_on)
		log_warn("%s: no [source], [device], [listen] or [kernel]: the daemon would read "
			 "nothing and serve nothing",
			 path);
}

bool
daemon_check(const char *config_path)
{
	struct config config;
	struct keyring *ring;
	bool good;

	if (!files_read_config(config_path, &config))
		return false;
	warn_if_empty(config_path, &config);
	ring = files_read_keyring(&config);
	good = check_machine(&config) && ring != NULL;
	files_free_keyring(&ring);
	return good;
}
