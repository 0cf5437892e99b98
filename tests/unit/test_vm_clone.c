/* SPDX-License-Identifier: MIT */
/* News of a clone, from a log that is a socket: one message a read, as the kernel's has records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those before it */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/clones.h"
#include "daemon/daemon.h"
#include "lib/priv/tls_channel.h"
#include "tests/unit/stopped_clock.h"

#define PATIENCE_MS 20000

/* As Linux 6.1 and 6.12 write it. */
#define CLONED "5,365,9587907,-;random: crng reseeded due to virtual machine fork\n"

struct rig {
	struct vm_clone cloned;
	int kernel; /* the end at which the log is written */
};

static int overtaken = -1; /* a log whose next record was overwritten before it was read */
static int cancelled = -1; /* a timer, after the clock was set */

/* In place of libc's: a socket never says what /dev/kmsg says then, and the clock is not ours. */
ssize_t
read(int fd, void *ret, size_t size)
{
	if (fd < 0 || (fd != overtaken && fd != cancelled))
		return syscall(SYS_read, fd, ret, size);
	errno = fd == overtaken ? EPIPE : ECANCELED;
	overtaken = cancelled = -1;
	return -1;
}

/* How often ekey-tls was told since the last time. */
static unsigned
renewals_told(int tls)
{
	union tls_message message;
	unsigned told = 0;
	int fds[2];

	while (tls_channel_receive(tls, &message, fds) > 0)
		told += message.kind == TLS_RENEW;
	return told;
}

static int
set_up(void **state)
{
	static struct rig rig;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	rig.kernel = ends[1];
	vm_clone_open_log(&rig.cloned, ends[0]);
	*state = &rig;
	return 0;
}

static int
tear_down(void **state)
{
	struct rig *rig = *state;

	vm_clone_close(&rig->cloned);
	return rig->kernel >= 0 ? close(rig->kernel) : 0;
}

static void
say(const struct rig *rig, const char *record)
{
	assert_int_equal(send(rig->kernel, record, strlen(record), 0), strlen(record));
}

static bool
has_news(const struct rig *rig, int patience_ms)
{
	struct pollfd one = {.fd = vm_clone_fd(&rig->cloned), .events = POLLIN};

	return poll(&one, 1, patience_ms) == 1;
}

static void
clone_is_noticed_once(void **state)
{
	struct rig *rig = *state;

	assert_null(vm_clone_take(&rig->cloned));
	assert_false(has_news(rig, 0));
	say(rig, "6,364,9587000,-;e1000: link is up\n");
	say(rig, CLONED);
	say(rig, "6,366,9587999,-;e1000: link is down\n");
	assert_true(has_news(rig, PATIENCE_MS));
	assert_string_equal(vm_clone_take(&rig->cloned), "was cloned or restored");
	assert_null(vm_clone_take(&rig->cloned));
	assert_false(has_news(rig, 0));
}

static void
each_clone_is_noticed(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < 3; i++) {
		say(rig, CLONED);
		assert_true(has_news(rig, PATIENCE_MS));
		assert_non_null(vm_clone_take(&rig->cloned));
	}
}

/* A program that writes to /dev/kmsg is given facility 1, whatever it asks for. */
static void
what_programs_write_into_the_log_is_no_news(void **state)
{
	struct rig *rig = *state;

	say(rig, "13,365,9587907,-;random: crng reseeded due to virtual machine fork\n");
	say(rig, "6,366,9587907,-;random: crng init done\n");
	say(rig, "");
	say(rig, "random: crng reseeded");
	assert_null(vm_clone_take(&rig->cloned));
}

/* As mount(2) by any user makes the kernel say it, and with the other levels it has. */
static void
what_the_kernel_quotes_is_no_news(void **state)
{
	static const char text[] = "random: crng reseeded due to virtual machine fork";
	struct rig *rig = *state;
	char record[128];

	for (unsigned level = 0; level < 8; level++) {
		snprintf(record, sizeof(record), "%u,1,2,-;tmpfs: Unknown parameter '%s'\n", level,
			 text);
		say(rig, record);
		snprintf(record, sizeof(record), "%u,1,2,-;%s: no such file\n", level, text);
		say(rig, record);
		snprintf(record, sizeof(record), "%u,1,2,-;a;%s\n", level, text);
		say(rig, record);
		snprintf(record, sizeof(record), "%u,1,2,-;%s\n", level, text);
		if (level != 5)
			say(rig, record);
	}
	say(rig, "5,1,2,-;random: crng reseeded due to virtual machine fork\n SUBSYSTEM=mem\n");
	assert_null(vm_clone_take(&rig->cloned));
	say(rig, "5,1,2,-,caller=T1;random: crng reseeded due to virtual machine fork\n");
	assert_non_null(vm_clone_take(&rig->cloned));
}

static void
lost_messages_alone_are_no_clone(void **state)
{
	struct rig *rig = *state;

	overtaken = rig->cloned.log;
	say(rig, "6,364,9587000,-;e1000: link is up\n");
	assert_null(vm_clone_take(&rig->cloned));
	assert_int_equal(overtaken, -1);
	overtaken = rig->cloned.log;
	say(rig, CLONED);
	assert_non_null(vm_clone_take(&rig->cloned));
}

/* What comes in a flood is found, in as many turns as it takes. */
static void
flood_of_messages_hides_nothing(void **state)
{
	struct rig *rig = *state;
	const char *news = NULL;
	int turns = 0;

	for (int i = 0; i < 100; i++)
		say(rig, "6,364,9587000,-;usb 1-1: new full-speed USB device\n");
	say(rig, CLONED);
	while (news == NULL && has_news(rig, PATIENCE_MS) && turns++ < 100)
		news = vm_clone_take(&rig->cloned);
	assert_non_null(news);
	assert_true(turns > 1);
}

/* The second waits for the floor, the third is one with it. */
static void
daemon_begins_anew_once_in_a_floor_however_much_news_there_is(void **state)
{
	const struct pool_config config = {
		.size = POOL_SIZE_MIN, .max_handles = 1, .max_waiters = 1};
	struct daemon *d = calloc(1, sizeof(*d));
	struct rig *rig = *state;
	int tls[2];

	d->base = event_base_new();
	d->pool = pool_new(&config);
	d->cloned = rig->cloned;
	rig->cloned = (struct vm_clone){0};
	assert_true(clones_start(d));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, tls), 0);
	d->tls.process.fd = tls[0];
	for (int i = 0; i < 3; i++) {
		say(rig, CLONED);
		event_base_loop(d->base, EVLOOP_NONBLOCK);
		assert_int_equal(d->renewals, 1);
		assert_int_equal(renewals_told(tls[1]), i == 0);
	}
	event_del(d->clone_floor); /* is over */
	event_active(d->clone_floor, EV_TIMEOUT, 0);
	event_base_loop(d->base, EVLOOP_NONBLOCK);
	assert_int_equal(d->renewals, 2);
	assert_true(event_pending(d->clone_floor, EV_TIMEOUT, NULL));
	event_active(d->clone_floor, EV_TIMEOUT, 0);
	event_base_loop(d->base, EVLOOP_NONBLOCK);
	assert_int_equal(d->renewals, 2);
	assert_int_equal(d->clone_limit.suppressed, 1); /* its line in the log */
	clones_stop(d);
	close(tls[0]);
	close(tls[1]);
	pool_free(&d->pool);
	event_base_free(d->base);
	free(d);
}

static const char *
news_when_the_clock_was_set(struct rig *rig)
{
	cancelled = rig->cloned.clock;
	return vm_clone_take(&rig->cloned);
}

static void
each_sleep_is_noticed_once(void **state)
{
	struct rig rig = {.kernel = -1};

	(void)state;
	stopped_clock_begin(NULL);
	stopped_clock_sleep(3600000);
	vm_clone_open_log(&rig.cloned, -ENOENT);
	assert_null(news_when_the_clock_was_set(&rig));
	for (int i = 0; i < 3; i++) {
		stopped_clock_sleep(1000);
		assert_null(vm_clone_take(&rig.cloned)); /* the kernel has not said so */
		assert_string_equal(news_when_the_clock_was_set(&rig),
				    "has slept, perhaps on a disk");
		assert_null(vm_clone_take(&rig.cloned));
	}
	stopped_clock_advance(3600000);
	assert_null(news_when_the_clock_was_set(&rig));
	vm_clone_close(&rig.cloned);
}

/* "settime flags: 03" of timerfd: TFD_TIMER_ABSTIME and TFD_TIMER_CANCEL_ON_SET, proc(5). */
static void
clock_is_armed_for_being_set(void **state)
{
	const struct rig *rig = *state;
	char path[64], line[128];
	bool found = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", rig->cloned.clock);
	info = fopen(path, "re");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info) != NULL)
		found = found || strcmp(line, "settime flags: 03\n") == 0;
	fclose(info);
	assert_true(found);
}

static void
log_that_ends_is_no_news(void **state)
{
	struct rig *rig = *state;

	close(rig->kernel);
	rig->kernel = -1;
	assert_null(vm_clone_take(&rig->cloned));
}

/* Without the log there is sleep to listen for; and nothing that is said of the log is a clone. */
static void
log_that_cannot_be_had_is_lacking(void **state)
{
	struct vm_clone c;

	(void)state;
	vm_clone_open_log(&c, -EPERM);
	assert_true(vm_clone_fd(&c) >= 0);
	assert_null(vm_clone_take(&c));
	assert_non_null(vm_clone_lack(&c));
	vm_clone_close(&c);
	vm_clone_close(&c);
}

/* Returns what it writes to stderr. */
static const char *
logged_lack(const struct vm_clone *c)
{
	static char text[256];
	int saved = dup(STDERR_FILENO), ends[2];
	ssize_t len;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	vm_clone_log_lack(c);
	dup2(saved, STDERR_FILENO);
	len = read(ends[0], text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	close(saved);
	close(ends[0]);
	close(ends[1]);
	return text;
}

static void
clones_are_a_line_in_the_log_of_virtual_machines_only(void **state)
{
	struct vm_clone c;

	(void)state;
	vm_clone_open_log(&c, -EPERM);
	c.is_virtual = false;
	assert_string_equal(logged_lack(&c), "");
	c.is_virtual = true;
	assert_non_null(strstr(logged_lack(&c), "clones of this machine would go unnoticed: "));
	vm_clone_close(&c);
}

/* The kernel reads the same bit of the processor. */
static void
a_machine_is_as_virtual_as_its_kernel_says(void **state)
{
	FILE *cpus = fopen("/proc/cpuinfo", "re");
	bool flags = false, hypervisor = access("/sys/hypervisor/type", F_OK) == 0;
	struct vm_clone c;
	char line[8192];

	(void)state;
	while (cpus != NULL && fgets(line, sizeof(line), cpus) != NULL) {
		flags = flags || strncmp(line, "flags\t", 6) == 0;
		hypervisor = hypervisor || strstr(line, " hypervisor") != NULL;
	}
	if (cpus != NULL)
		fclose(cpus);
	if (!flags)
		skip(); /* missing: /proc/cpuinfo of an x86 processor */
	vm_clone_open(&c);
	assert_int_equal(c.is_virtual, hypervisor);
	vm_clone_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clones_are_a_line_in_the_log_of_virtual_machines_only),
		cmocka_unit_test(a_machine_is_as_virtual_as_its_kernel_says),
		cmocka_unit_test_setup_teardown(clone_is_noticed_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_clone_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_programs_write_into_the_log_is_no_news, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_the_kernel_quotes_is_no_news, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(lost_messages_alone_are_no_clone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(flood_of_messages_hides_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			daemon_begins_anew_once_in_a_floor_however_much_news_there_is, set_up,
			tear_down),
		cmocka_unit_test(each_sleep_is_noticed_once),
		cmocka_unit_test_setup_teardown(clock_is_armed_for_being_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(log_that_ends_is_no_news, set_up, tear_down),
		cmocka_unit_test(log_that_cannot_be_had_is_lacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
