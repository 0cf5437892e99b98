/* SPDX-License-Identifier: MIT */
/*
 * The first program of a guest of tests/rig/qemu.py, alone in its initial memory: loads the modules
 * that /modules lists, makes /dev/vda the root, unpacks onto it the archive that /dev/vdb is, and
 * becomes the program that the word rig_init names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/rig/early.h"

#define DISK "/dev/vda"
#define DISK_WAIT_MS 10000

static void
wait_for_disk(void)
{
	for (int ms = 0; access(DISK, F_OK) != 0; ms++) {
		if (ms == DISK_WAIT_MS)
			early_give_up(DISK);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

/* What is mounted moves along; / itself cannot be given up, so that the new one covers it. */
static void
change_root(void)
{
	static const char *const moved[] = {"dev", "proc", "sys"};
	char from[16], to[32];

	early_mount("ext4", DISK, "/new");
	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		snprintf(from, sizeof(from), "/%s", moved[i]);
		snprintf(to, sizeof(to), "/new/%s", moved[i]);
		if (mount(from, to, NULL, MS_MOVE, NULL) != 0)
			early_give_up(to);
	}
	if (chdir("/new") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
	    chdir("/") != 0)
		early_give_up("/new");
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
		early_give_up("/dev/vdb");
}

int
main(void)
{
	const char *init = getenv("rig_init");

	setvbuf(stdout, NULL, _IOLBF, 0);
	early_mount("devtmpfs", "dev", "/dev");
	early_mount("proc", "proc", "/proc");
	early_mount("sysfs", "sys", "/sys");
	early_load_modules();
	wait_for_disk();
	change_root();
	unpack();
	if (!init)
		early_give_up("no rig_init");
	execl(init, init, (char *)NULL);
	early_give_up(init);
}
