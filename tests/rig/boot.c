/* SPDX-License-Identifier: MIT */
/*
 * The first program of a guest of tests/rig/qemu.py, alone in its initial memory: loads the modules
 * that /modules lists, makes /dev/vda the root, unpacks onto it the archive that /dev/vdb is, and
 * becomes the program that the word rig_init names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DISK "/dev/vda"
#define DISK_WAIT_MS 10000

static _Noreturn void
give_up(const char *what)
{
	printf("rig: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void
mount_or_give_up(const char *type, const char *what, const char *at)
{
	if (mkdir(at, 0755) != 0 && errno != EEXIST)
		give_up(at);
	if (mount(what, at, type, 0, NULL) != 0 && errno != EBUSY)
		give_up(at);
}

static void
load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		give_up(path);
	close(fd);
}

static void
load_modules(void)
{
	FILE *list = fopen("/modules", "re");
	char path[256];

	if (!list)
		give_up("/modules");
	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = '\0';
		load_module(path);
	}
	fclose(list);
}

static void
wait_for_disk(void)
{
	for (int ms = 0; access(DISK, F_OK) != 0; ms++) {
		if (ms == DISK_WAIT_MS)
			give_up(DISK);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

/* What is mounted moves along; / itself cannot be given up, so that the new one covers it. */
static void
change_root(void)
{
	static const char *const moved[] = {"dev", "proc", "sys"};
	char from[16], to[32];

	mount_or_give_up("ext4", DISK, "/new");
	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		snprintf(from, sizeof(from), "/%s", moved[i]);
		snprintf(to, sizeof(to), "/new/%s", moved[i]);
		if (mount(from, to, NULL, MS_MOVE, NULL) != 0)
			give_up(to);
	}
	if (chdir("/new") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    chdir("/") != 0)
		give_up("/new");
}

/* The archive's folders may be links on the root, as /lib is. */
static void
unpack(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c",
		      "tar -C / --no-same-owner --keep-directory-symlink -xf /dev/vdb && ldconfig",
		      (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		give_up("/dev/vdb");
}

int
main(void)
{
	const char *init = getenv("rig_init");

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_or_give_up("devtmpfs", "dev", "/dev");
	mount_or_give_up("proc", "proc", "/proc");
	mount_or_give_up("sysfs", "sys", "/sys");
	load_modules();
	wait_for_disk();
	change_root();
	unpack();
	if (!init)
		give_up("no rig_init");
	execl(init, init, (char *)NULL);
	give_up(init);
}
