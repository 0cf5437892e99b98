/* SPDX-License-Identifier: MIT */
/*
 * The first process of a guest that has its root: mounts what a test needs, runs one command, says
 * how it ended, powers off. The kernel puts such words as rig_job=PROGRAM and rig_NAME=VALUE of its
 * command line into our environment; the job finds them there.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
power_off(void)
{
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static _Noreturn void
give_up(const char *what)
{
	printf("rig: %s: %s\n", what, strerror(errno));
	power_off();
}

static void
mount_all(void)
{
	static const struct {
		const char *type, *at;
	} table[] = {
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"tmpfs", "/run"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		/* devtmpfs may have been mounted by the kernel. */
		if (mount("rig", table[i].at, table[i].type, 0, NULL) != 0 && errno != EBUSY)
			give_up(table[i].at);
	}
	if (mkdir("/run/tmp", 01777) != 0)
		give_up("/run/tmp");
	setenv("TMPDIR", "/run/tmp", 1);
	setenv("HOME", "/run/tmp", 1);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", 1);
}

static void
bring_up_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		give_up("lo");
	close(fd);
}

static pid_t
start_job(const char *job)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, STDIN_FILENO);
		dup2(STDOUT_FILENO, STDERR_FILENO);
		execl(job, job, (char *)NULL);
		printf("rig: %s: %s\n", job, strerror(errno));
		fflush(stdout);
		_exit(127);
	}
	return pid;
}

/* Orphans come to us too; only the job's end ends the run. */
static int
wait_for(pid_t job)
{
	int status = 0;
	pid_t pid;

	do {
		pid = wait(&status);
	} while (pid != job && (pid > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
main(void)
{
	const char *job = getenv("rig_job");

	if (getpid() != 1) {
		fprintf(stderr, "rig-init: is the first process of a guest\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_all();
	bring_up_loopback();
	if (!job)
		give_up("no rig_job");
	printf("rig: exit %d\n", wait_for(start_job(job)));
	power_off();
}
