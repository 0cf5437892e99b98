/* SPDX-License-Identifier: MIT */
#include "lib/priv/vm_clone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "lib/log.h"

#define LOG_PATH "/dev/kmsg"
#define LOG_RECORD_MAX 8192 /* a shorter buffer gets EINVAL for a longer record */
#define LOG_TURN 64 /* records of one call, so that a flood of records cannot hold the loop */

/*
 * "priority,number,time,flags;text\n". Programs cannot write with the kernel's own facility, 0, but
 * any user can make the kernel quote a text in one of its messages: the whole record must be that
 * of the random generator, with its level, KERN_NOTICE.
 */
#define LOG_PRIORITY "5,"
#define LOG_CLONED ";random: crng reseeded due to virtual machine fork\n"

/* Where the kernel's driver is bound to the device that the hypervisor gives, by kernel. */
static const char *const drivers[] = {"/sys/bus/acpi/drivers/vmgenid",
				      "/sys/bus/platform/drivers/vmgenid"};

/* The clock counts sleep in whole seconds; a smaller difference comes from reading two clocks. */
#define SLEPT_MS 500

/* The timer is to be cancelled, and must not expire. */
#define NEVER_S INT32_MAX

/* ---- sleep ---- */

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A delay between the two readings makes the result too long: the shortest of three is right. */
static int64_t
asleep_ms(void)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t awake = clock_ms(CLOCK_MONOTONIC);
		int64_t asleep = clock_ms(CLOCK_BOOTTIME) - awake;

		least = asleep < least ? asleep : least;
	}
	return least;
}

static int
arm(int clock)
{
	const struct itimerspec never = {.it_value.tv_sec = NEVER_S};
	const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

	return timerfd_settime(clock, flags, &never, NULL) == 0 ? 0 : -errno;
}

/* The timer is also cancelled when the time of day is set, which is no sleep. */
static bool
has_slept(struct vm_clone *c)
{
	int64_t before = c->asleep_ms;
	uint64_t times;

	if (c->clock < 0 || read(c->clock, &times, sizeof(times)) >= 0 || errno != ECANCELED)
		return false;
	(void)arm(c->clock);
	c->asleep_ms = asleep_ms();
	return c->asleep_ms - before >= SLEPT_MS;
}

static int
open_clock(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	int result = fd < 0 ? -errno : arm(fd);

	if (fd >= 0 && result < 0)
		close(fd);
	return result < 0 ? result : fd;
}

/* ---- the kernel's log ---- */

static int
open_log(void)
{
	int fd = open(LOG_PATH, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)lseek(fd, 0, SEEK_END);
	return fd;
}

static bool
tells_of_clone(const char *record)
{
	const char *text = strchr(record, ';');

	return strncmp(record, LOG_PRIORITY, strlen(LOG_PRIORITY)) == 0 && text != NULL &&
	       strcmp(text, LOG_CLONED) == 0;
}

/* Records that were overwritten before we read them are no news: any user can flood the log. */
static const char *
read_log(int log)
{
	char record[LOG_RECORD_MAX];
	const char *news = NULL;

	for (int i = 0; i < LOG_TURN; i++) {
		ssize_t n = read(log, record, sizeof(record) - 1);

		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		if (tells_of_clone(record))
			news = "was cloned or restored";
	}
	return news;
}

/* ---- the machine ---- */

#ifdef __x86_64__

/* Asks the processor, whose hypervisor sets this bit. */
static bool
processor_is_virtual(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx >> 31 & 1) != 0;
}

#else

/* There is no way to know: it may be. */
static bool
processor_is_virtual(void)
{
	return true;
}

#endif

/* A paravirtual guest of Xen sees the bare processor. */
static bool
machine_is_virtual(void)
{
	return processor_is_virtual() || access("/sys/hypervisor/type", F_OK) == 0;
}

/* ---- all ---- */

static void
listen_to(struct vm_clone *c, int fd)
{
	struct epoll_event readable = {.events = EPOLLIN};

	if (c->ready >= 0 && fd >= 0)
		(void)epoll_ctl(c->ready, EPOLL_CTL_ADD, fd, &readable);
}

void
vm_clone_open_log(struct vm_clone *c, int log)
{
	c->ready = epoll_create1(EPOLL_CLOEXEC);
	c->log = log;
	c->clock = open_clock();
	c->asleep_ms = asleep_ms();
	listen_to(c, c->log);
	listen_to(c, c->clock);
}

void
vm_clone_open(struct vm_clone *c)
{
	vm_clone_open_log(c, open_log());
	c->is_virtual = machine_is_virtual();
}

void
vm_clone_close(struct vm_clone *c)
{
	const int fds[] = {c->ready, c->log, c->clock};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] > 0)
			close(fds[i]);
	*c = (struct vm_clone){0};
}

int
vm_clone_fd(const struct vm_clone *c)
{
	return c->ready >= 0 ? c->ready : -1;
}

const char *
vm_clone_take(struct vm_clone *c)
{
	bool slept = has_slept(c);
	const char *news = c->log >= 0 ? read_log(c->log) : NULL;

	return news == NULL && slept ? "has slept, perhaps on a disk" : news;
}

/* ---- what is missing ---- */

static bool
is_bound(const char *driver)
{
	DIR *dir = opendir(driver);
	const struct dirent *entry;
	bool bound = false;

	while (dir != NULL && !bound && (entry = readdir(dir)) != NULL)
		bound = strchr(entry->d_name, ':') != NULL; /* as "QEMUVGID:00" */
	if (dir != NULL)
		closedir(dir);
	return bound;
}

static bool
has_vmgenid(void)
{
	return is_bound(drivers[0]) || is_bound(drivers[1]);
}

bool
vm_clone_is_told_here(void)
{
	return machine_is_virtual() && has_vmgenid();
}

const char *
vm_clone_lack(const struct vm_clone *c)
{
	if (!has_vmgenid())
		return "neither its hypervisor nor its kernel has a VMGENID (Linux 5.18)";
	if (c->log == -EPERM || c->log == -EACCES)
		return LOG_PATH " may not be read, which takes CAP_SYSLOG";
	return c->log < 0 ? LOG_PATH " is missing" : NULL;
}

void
vm_clone_log_lack(const struct vm_clone *c)
{
	const char *lack = vm_clone_lack(c);

	if (lack != NULL && c->is_virtual)
		log_info("clones of this machine would go unnoticed: %s", lack);
	else if (lack != NULL)
		log_debug("this machine is not virtual; its clones would go unnoticed: %s", lack);
}
