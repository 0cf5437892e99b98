/* SPDX-License-Identifier: MIT */
#include "cuse/table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_PAGE 4096
#define TABLE_SHORT 256 /* bytes; requests of readers have less than 100 */
#define TABLE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/*
 * Stores before this call are in the table before stores after it: a daemon killed in between
 * leaves an entry that is whole, or none. The kernel ends a process between two instructions, so
 * that only the compiler must be kept from reordering.
 */
static void
table_commit(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* ---- the memory ---- */

/*
 * A task with a pending SIGKILL cannot fault pages in: if this page were not resident when the
 * kernel copies a request, the reader would get EIO. One page, so that no request is half there.
 */
static_assert(offsetof(struct table, request) % TABLE_PAGE + TABLE_SHORT <= TABLE_PAGE,
	      "a short request lies in one page");

static int
table_map(int fd, struct table **ret)
{
	void *map = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	(void)mlock((*ret)->request, TABLE_SHORT); /* best effort: see RLIMIT_MEMLOCK */
	return 0;
}

static int
table_create(struct table **ret)
{
	int result, fd = memfd_create("ekey-random table", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct table)) != 0 || fcntl(fd, F_ADD_SEALS, TABLE_SEALS) != 0)
		result = -errno;
	else
		result = table_map(fd, ret);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

void
table_clear(struct table *t)
{
	memset(t, 0, offsetof(struct table, request) + sizeof(uint32_t));
	t->version = TABLE_VERSION;
	t->size = sizeof(*t);
	t->files_free = TABLE_NONE;
	t->reads_free = TABLE_NONE;
}

struct table *
table_new(int *ret_fd)
{
	struct table *t = NULL;
	int fd = table_create(&t);

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	table_clear(t);
	*ret_fd = fd;
	return t;
}

void
table_free(struct table **table)
{
	if (*table != NULL)
		munmap(*table, sizeof(**table));
	*table = NULL;
}

/* ---- the table of a previous daemon: entries are checked, counts and chains are made again ----
 */

static bool
table_recount_files(struct table *t)
{
	t->files_free = TABLE_NONE;
	t->files_open = 0;
	for (uint32_t i = t->files_used; i-- > 0;) {
		struct table_file *f = &t->files[i];

		if (f->open > 1 || f->poll_wanted > 1)
			return false;
		f->reads = 0;
		t->files_open += f->open;
		if (f->open)
			continue;
		f->next_free = t->files_free;
		t->files_free = i;
	}
	return true;
}

static bool
table_recount_reads(struct table *t)
{
	t->reads_free = TABLE_NONE;
	t->reads_pending = 0;
	for (uint32_t i = t->reads_used; i-- > 0;) {
		struct table_read *p = &t->reads[i];

		if (p->unique == 0) {
			p->next_free = t->reads_free;
			t->reads_free = i;
			continue;
		}
		if (table_file(t, p->file) == NULL || p->asked == 0)
			return false;
		t->files[p->file].reads++;
		t->reads_pending++;
	}
	return true;
}

static int
table_check(struct table *t)
{
	if (t->init_len == 0 || t->init_len > TABLE_INIT_MAX ||
	    memchr(t->path, '\0', sizeof(t->path)) == NULL)
		return -EINVAL;
	if (!table_recount_files(t) || !table_recount_reads(t))
		return -EINVAL;
	t->account.lost += t->account.granted; /* bytes in the previous daemon's memory */
	t->account.granted = 0;
	t->generation++;
	return 0;
}

/* Reads all of a part of the table. 0, -EPROTO: the file is shorter, or -errno. */
static int
table_read_part(int fd, struct table *t, size_t at, size_t len)
{
	ssize_t n = pread(fd, (char *)t + at, len, (off_t)at);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EPROTO;
}

/*
 * Unused entries are not read, and take no memory. The first word of the request is
 * its length; one that is too long is left out.
 */
static int
table_read(int fd, struct table *t)
{
	const size_t request = offsetof(struct table, request);
	uint32_t len;
	int result = table_read_part(fd, t, 0, offsetof(struct table, files));

	if (result == 0 && (t->version != TABLE_VERSION || t->size != sizeof(*t)))
		result = -EPROTO;
	if (result == 0 && (t->files_used > TABLE_FILES || t->reads_used > TABLE_READS))
		result = -EINVAL;
	if (result == 0)
		result = table_read_part(fd, t, offsetof(struct table, files),
					 t->files_used * sizeof(t->files[0]));
	if (result == 0)
		result = table_read_part(fd, t, offsetof(struct table, reads),
					 t->reads_used * sizeof(t->reads[0]));
	if (result == 0)
		result = table_read_part(fd, t, request, sizeof(len));
	memcpy(&len, t->request, sizeof(len));
	if (len > sizeof(t->request))
		memset(t->request, 0, sizeof(len));
	else if (result == 0)
		result = table_read_part(fd, t, request, len);
	return result;
}

int
table_resume(int fd, struct table **ret, int *ret_fd)
{
	struct table *t = NULL;
	int result, new_fd = table_create(&t);

	if (new_fd < 0)
		return new_fd;
	result = table_read(fd, t);
	if (result == 0)
		result = table_check(t);
	if (result < 0) {
		table_free(&t);
		close(new_fd);
		return result;
	}
	*ret = t;
	*ret_fd = new_fd;
	return 0;
}

uint32_t
table_generation(int fd)
{
	uint32_t generation = 0;

	(void)!pread(fd, &generation, sizeof(generation), offsetof(struct table, generation));
	return generation;
}

/* ---- shares: the last quarter is for users without any, so that no user shuts others out ---- */

bool
table_has_file_of(const struct table *t, uint32_t uid)
{
	for (uint32_t i = 0; i < t->files_used; i++)
		if (t->files[i].open && t->files[i].uid == uid)
			return true;
	return false;
}

bool
table_has_read_of(const struct table *t, uint32_t uid)
{
	for (uint32_t i = 0; i < t->files_used; i++)
		if (t->files[i].reads > 0 && t->files[i].uid == uid)
			return true;
	return false;
}

/* ---- files ---- */

uint32_t
table_file_open(struct table *t, uint32_t uid)
{
	uint32_t file = t->files_free;

	if (t->files_open >= TABLE_FILES - TABLE_FILES / 4 && table_has_file_of(t, uid))
		return TABLE_NONE;
	if (file != TABLE_NONE)
		t->files_free = t->files[file].next_free;
	else if (t->files_used < TABLE_FILES)
		file = t->files_used++;
	else
		return TABLE_NONE;
	t->files[file] = (struct table_file){.next_free = TABLE_NONE, .uid = uid};
	table_commit();
	t->files[file].open = true;
	t->files_open++;
	return file;
}

void
table_file_close(struct table *t, uint32_t file)
{
	assert(t->files[file].open && t->files[file].reads == 0);
	t->files[file].open = false;
	table_commit();
	t->files[file] = (struct table_file){.next_free = t->files_free};
	t->files_free = file;
	t->files_open--;
}

struct table_file *
table_file(struct table *t, uint64_t fh)
{
	return fh < t->files_used && t->files[fh].open ? &t->files[fh] : NULL;
}

/* ---- reads ---- */

uint32_t
table_read_add(struct table *t, uint32_t file, uint64_t unique, uint32_t asked)
{
	uint32_t read = t->reads_free;

	if (t->reads_pending >= TABLE_READS - TABLE_READS / 4 &&
	    table_has_read_of(t, t->files[file].uid))
		return TABLE_NONE;
	if (read != TABLE_NONE)
		t->reads_free = t->reads[read].next_free;
	else if (t->reads_used < TABLE_READS)
		read = t->reads_used++;
	else
		return TABLE_NONE;
	t->reads[read] = (struct table_read){TABLE_NONE, file, asked, 0};
	table_commit();
	t->reads[read].unique = unique;
	t->reads_pending++;
	t->files[file].reads++;
	return read;
}

void
table_read_remove(struct table *t, uint32_t read)
{
	assert(t->reads[read].unique != 0);
	t->reads[read].unique = 0;
	table_commit();
	t->files[t->reads[read].file].reads--;
	t->reads_pending--;
	t->reads[read] = (struct table_read){.next_free = t->reads_free};
	t->reads_free = read;
}

bool
table_read_is_pending(const struct table *t, uint64_t unique)
{
	for (uint32_t i = 0; i < t->reads_used; i++)
		if (t->reads[i].unique == unique)
			return true;
	return false;
}

/* ---- the handshake ---- */

void
table_keep_init(struct table *t, uint32_t opcode, const void *init, size_t len)
{
	t->init_opcode = opcode;
	memcpy(t->init, init, len < TABLE_INIT_MAX ? len : TABLE_INIT_MAX);
	table_commit();
	t->init_len = len < TABLE_INIT_MAX ? (uint32_t)len : TABLE_INIT_MAX;
}
