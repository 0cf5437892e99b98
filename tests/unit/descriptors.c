/* SPDX-License-Identifier: MIT */
/* In every unit test: the program fails if it ends with other descriptors than it began with. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pid_t program; /* its children end with what they have */
static unsigned at_begin;

static unsigned
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	if (folder == NULL)
		abort();
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void
check_descriptors(void)
{
	unsigned at_end = count_descriptors();

	if (getpid() != program || at_end == at_begin)
		return;
	fprintf(stderr,
		"descriptors: %u at the begin, %u at the end: the tests close what they open\n",
		at_begin, at_end);
	_exit(1);
}

__attribute__((constructor)) static void
begin_descriptors(void)
{
	program = getpid();
	at_begin = count_descriptors();
	if (atexit(check_descriptors) != 0)
		abort();
}
