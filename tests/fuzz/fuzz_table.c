/* SPDX-License-Identifier: MIT */
/*
 * Saved state of a device as a previous daemon may have left it: refused, or resumed with counts
 * and chains that are consistent, so that files and reads can be closed and opened.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuse/table.h"
#include "tests/fuzz/fuzz.h"

#define HEAD offsetof(struct table, files)

/* The head, then files, reads and the request in hand a third each. */
static int
state_of(const uint8_t *data, size_t size)
{
	size_t head = size < HEAD ? size : HEAD, third = (size - head) / 3;
	int fd = memfd_create("state", MFD_CLOEXEC);

	if (ftruncate(fd, sizeof(struct table)) != 0 || pwrite(fd, data, head, 0) < 0 ||
	    pwrite(fd, data + head, third, offsetof(struct table, files)) < 0 ||
	    pwrite(fd, data + head + third, third, offsetof(struct table, reads)) < 0 ||
	    pwrite(fd, data + head + 2 * third, third, offsetof(struct table, request)) < 0)
		abort();
	return fd;
}

static void
empty(struct table *t)
{
	for (uint32_t i = 0; i < t->reads_used; i++)
		if (t->reads[i].unique != 0)
			table_read_remove(t, i);
	for (uint32_t i = 0; i < t->files_used; i++)
		if (t->files[i].open)
			table_file_close(t, i);
	if (t->files_open != 0 || t->reads_pending != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int next_fd, fd = state_of(data, size);
	struct table *t;

	if (table_resume(fd, &t, &next_fd) == 0) {
		empty(t);
		for (uint32_t i = 0; i < TABLE_FILES; i++)
			if (table_file_open(t, i) >= TABLE_FILES)
				abort();
		if (table_file_open(t, 0) != TABLE_NONE)
			abort();
		table_free(&t);
		close(next_fd);
	}
	close(fd);
	return 0;
}
