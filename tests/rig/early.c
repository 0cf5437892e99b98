/* SPDX-License-Identifier: MIT */
#include "tests/rig/early.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn void
early_give_up(const char *what)
{
	printf("rig: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void
early_mount(const char *type, const char *what, const char *at)
{
	if (mkdir(at, 0755) != 0 && errno != EEXIST)
		early_give_up(at);
	if (mount(what, at, type, 0, NULL) != 0 && errno != EBUSY)
		early_give_up(at);
}

static void
load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		early_give_up(path);
	close(fd);
}

void
early_load_modules(void)
{
	FILE *list = fopen("/modules", "re");
	char path[256];

	if (!list)
		early_give_up("/modules");
	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = '\0';
		load_module(path);
	}
	fclose(list);
}
