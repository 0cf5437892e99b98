/* SPDX-License-Identifier: MIT */
#include "daemon/parent.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "cuse/claim.h"
#include "daemon/keep.h"
#include "daemon/notify.h"
#include "daemon/parent_option.h"

#define PARENT_ARGS_MAX 32

/* Its heir hands on what it had open, at once; who does not is not waited for. */
#define PARENT_HEIR_MS 5000

/* A daemon that lived so long is followed at once; each that did not makes the next one wait. */
#define PARENT_LIVED_MS 1000
#define PARENT_WAIT_MIN_MS 100
#define PARENT_WAIT_MAX_MS 60000

enum end { END_NOT, END_STOP, END_RESTART };

struct parent {
	char exe[PATH_MAX]; /* what we are; after an upgrade what has taken its place */
	char *const *argv;
	int signals, socket; /* socket -1: the daemon has closed its end */
	pid_t daemon;
	enum end end;          /* of the daemon, as we were told */
	bool ready, was_ready; /* this daemon, and any */
	uint64_t wait_ms;
	struct keep keep;
};

/* ---- the daemon's start ---- */

/* What it hears before it has ears for it waits: else it would be its end, or a reload be lost. */
static void
signals_of_daemon(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGUSR2);
}

/* What systemd addressed to us is for the daemon. */
static void
readdress(const char *variable)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (getenv(variable) != NULL)
		setenv(variable, pid, 1);
}

static _Noreturn void
become_daemon(const struct parent *p, int socket, pid_t parent)
{
	char argument[32], option[] = {'-', PARENT_OPTION, '\0'};
	char *argv[PARENT_ARGS_MAX + 3] = {p->argv[0], option, argument};
	sigset_t later;

	for (size_t i = 1; i < PARENT_ARGS_MAX && p->argv[i] != NULL; i++)
		argv[i + 2] = p->argv[i];
	signals_of_daemon(&later);
	sigprocmask(SIG_SETMASK, &later, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	readdress("LISTEN_PID");
	readdress("WATCHDOG_PID");
	notify_pass_sockets();
	parent_option_write(argument, sizeof(argument), dup(socket)); /* not close-on-exec */
	execv(p->exe, argv);
	execv("/proc/self/exe", argv);
	log_err("cannot start %s: %s", p->exe, strerror(errno));
	_exit(1);
}

static int
start(struct parent *p)
{
	pid_t parent = getpid();
	int ends[2], result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	result = keep_send(&p->keep, ends[0]);
	p->daemon = result == 0 ? fork() : -1;
	if (p->daemon == 0)
		become_daemon(p, ends[1], parent);
	if (p->daemon < 0 && result == 0)
		result = -errno;
	close(ends[1]);
	if (result == 0)
		p->socket = ends[0];
	else
		close(ends[0]);
	p->ready = false;
	p->end = END_NOT;
	return result;
}

/* ---- while it runs ---- */

static void
hang_up(struct parent *p)
{
	close(p->socket);
	p->socket = -1;
}

/* Nobody but a daemon that is not itself any more says what makes no sense. */
static void
hear_daemon(struct parent *p)
{
	enum kept_act act;
	struct kept k;
	int result = kept_receive(p->socket, &act, &k);

	if (result == 0) {
		p->ready |= act == KEPT_READY;
		p->was_ready |= p->ready;
		result = kept_answer(p->socket, keep_do(&p->keep, act, &k));
	}
	if (result == 0 || result == -EINTR)
		return;
	if (result != -EPIPE) {
		log_err("the daemon does not make sense (%s): ended", strerror(-result));
		if (p->daemon > 0)
			kill(p->daemon, SIGKILL);
	}
	hang_up(p);
}

/* Passes it on, if there is a daemon. True: it was an order. */
static bool
hear_signal(struct parent *p)
{
	struct signalfd_siginfo info;
	int number;

	if (read(p->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	number = (int)info.ssi_signo;
	if (number == SIGTERM || number == SIGINT)
		p->end = END_STOP;
	else if (number == SIGUSR2)
		p->end = END_RESTART;
	if (number != SIGCHLD && p->daemon > 0)
		kill(p->daemon, number);
	return number != SIGCHLD;
}

/* What the daemon said last, then its heir; until neither has the other end any more. */
static void
hear_last_words(struct parent *p)
{
	uint64_t until_ms = clock_now_ms() + PARENT_HEIR_MS, now_ms;

	while (p->socket >= 0 && (now_ms = clock_now_ms()) < until_ms) {
		struct pollfd one = {.fd = p->socket, .events = POLLIN};

		if (poll(&one, 1, (int)(until_ms - now_ms)) == 1)
			hear_daemon(p);
	}
	if (p->socket >= 0)
		hang_up(p);
}

/* As the first process of a container we get everybody's orphans, too: nobody else reaps them. */
static bool
has_ended(const struct parent *p, int *ret_status)
{
	pid_t pid;

	do
		pid = waitpid(-1, ret_status, WNOHANG);
	while (pid > 0 && pid != p->daemon);
	return pid == p->daemon;
}

/* Until the daemon has ended; what it said before counts. Its wait status. */
static int
attend(struct parent *p)
{
	int status;

	while (!has_ended(p, &status)) {
		struct pollfd both[] = {{.fd = p->signals, .events = POLLIN},
					{.fd = p->socket, .events = POLLIN}};

		if (poll(both, 2, -1) < 0)
			continue;
		if (both[0].revents != 0)
			(void)hear_signal(p);
		if (both[1].revents != 0)
			hear_daemon(p);
	}
	p->daemon = 0; /* its number may be another's from now on */
	hear_last_words(p);
	return status;
}

/* ---- after it ---- */

static void
say_what_ended_it(const struct parent *p, int status)
{
	size_t devices = keep_devices(&p->keep);

	if (p->end == END_RESTART)
		log_info("restart: another daemon takes over %zu device%s", devices,
			 devices == 1 ? "" : "s");
	else if (WIFSIGNALED(status))
		log_err("the daemon was ended by signal %d (%s): another one takes over %zu "
			"device%s",
			WTERMSIG(status), strsignal(WTERMSIG(status)), devices,
			devices == 1 ? "" : "s");
	else
		log_err("the daemon ended with status %d: another one tries", WEXITSTATUS(status));
}

/* The exit status, or -1: there shall be another daemon. */
static int
verdict(const struct parent *p, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == PARENT_REFUSED)
		return PARENT_REFUSED;
	if (p->end == END_STOP)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	if (p->end == END_RESTART)
		return p->keep.managed ? 0 : -1;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || !p->was_ready))
		return WEXITSTATUS(status);
	return -1;
}

/* How long the next one has to wait: not at all, when this one was a good one. */
static uint64_t
next_wait_ms(const struct parent *p, uint64_t lived_ms)
{
	if (p->end == END_RESTART || (p->ready && lived_ms >= PARENT_LIVED_MS))
		return 0;
	if (p->ready || p->wait_ms < PARENT_WAIT_MIN_MS)
		return PARENT_WAIT_MIN_MS;
	return p->wait_ms * 2 < PARENT_WAIT_MAX_MS ? p->wait_ms * 2 : PARENT_WAIT_MAX_MS;
}

/* Any order ends it: what kept a daemon from starting may have been mended. */
static void
wait_before_next(struct parent *p)
{
	struct pollfd one = {.fd = p->signals, .events = POLLIN};

	p->end = END_NOT;
	for (uint64_t until_ms = clock_now_ms() + p->wait_ms, now_ms;
	     (now_ms = clock_now_ms()) < until_ms;)
		if (poll(&one, 1, (int)(until_ms - now_ms)) == 1 && hear_signal(p))
			return;
}

/* ---- the whole ---- */

static int
prepare(struct parent *p)
{
	ssize_t len = readlink("/proc/self/exe", p->exe, sizeof(p->exe) - 1);
	sigset_t set;

	if (len < 0)
		return -errno;
	signals_of_daemon(&set);
	sigaddset(&set, SIGCHLD);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (p->signals < 0)
		return -errno;
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, a daemon would leave no status */
	sigprocmask(SIG_BLOCK, &set, NULL);
	prctl(PR_SET_NAME, "ekey-parent");
	secret_shield();
	keep_from_manager(&p->keep);
	return 0;
}

/* The exit status of a daemon that shall have no other one after it. */
static int
follow(struct parent *p)
{
	for (;;) {
		uint64_t began_ms = clock_now_ms();
		int status, exit_status, result = start(p);

		if (result < 0) {
			log_err("cannot start the daemon: %s", strerror(-result));
			return 1;
		}
		status = attend(p);
		exit_status = verdict(p, status);
		if (exit_status >= 0)
			return exit_status;
		say_what_ended_it(p, status);
		p->wait_ms = next_wait_ms(p, clock_now_ms() - began_ms);
		wait_before_next(p);
		if (p->end == END_STOP || (p->end == END_RESTART && p->keep.managed))
			return 0;
	}
}

/* The device of a daemon that was ended before it could withdraw it; of clients, all there is. */
static void
discard(struct parent *p)
{
	struct kept *own = &p->keep.at[p->keep.count - 1], k = {.fds = {-1, -1, -1}};
	int lock = keep_is_device(own) ? own->fds[KEPT_LOCK] : -1;

	if (lock >= 0)
		own->fds[KEPT_LOCK] = -1;
	memcpy(k.path, own->path, sizeof(k.path));
	(void)keep_do(&p->keep, KEPT_FORGET, &k);
	if (lock < 0)
		return;
	(void)claim_clear(k.path);
	claim_release(k.path, lock);
}

/* What the service manager has is for his next start, unless this was the last one. */
static int
run(struct parent *p)
{
	int status = follow(p);

	while (p->keep.count > 0 && (p->end == END_STOP || !p->keep.managed))
		discard(p);
	return status;
}

int
parent_run(char *const argv[])
{
	struct parent p = {.argv = argv, .socket = -1};
	int result = prepare(&p);

	return result < 0 ? result : run(&p);
}
