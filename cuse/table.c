/* SPDX-License-Identifier: MIT */
#include "cuse/table.h"

#include <assert.h>
#include <string.h>

void
table_init(struct table *t)
{
	t->version = TABLE_VERSION;
	t->files_free = TABLE_NONE;
	t->reads_free = TABLE_NONE;
}

uint32_t
table_file_open(struct table *t, uint32_t uid)
{
	uint32_t file = t->files_free;

	if (file != TABLE_NONE)
		t->files_free = t->files[file].next_free;
	else if (t->files_used < TABLE_FILES)
		file = t->files_used++;
	else
		return TABLE_NONE;
	t->files[file] = (struct table_file){.next_free = TABLE_NONE, .uid = uid, .open = true};
	t->files_open++;
	return file;
}

void
table_file_close(struct table *t, uint32_t file)
{
	assert(t->files[file].open && t->files[file].reads == 0);
	t->files[file] = (struct table_file){.next_free = t->files_free};
	t->files_free = file;
	t->files_open--;
}

struct table_file *
table_file(struct table *t, uint64_t fh)
{
	return fh < t->files_used && t->files[fh].open ? &t->files[fh] : NULL;
}

uint32_t
table_read_add(struct table *t, uint32_t file, uint64_t unique, uint32_t asked)
{
	uint32_t read = t->reads_free;

	if (read != TABLE_NONE)
		t->reads_free = t->reads[read].next_free;
	else if (t->reads_used < TABLE_READS)
		read = t->reads_used++;
	else
		return TABLE_NONE;
	t->reads[read] = (struct table_read){TABLE_NONE, file, asked, unique};
	t->reads_pending++;
	t->files[file].reads++;
	return read;
}

void
table_read_remove(struct table *t, uint32_t read)
{
	assert(t->reads[read].unique != 0);
	t->files[t->reads[read].file].reads--;
	t->reads_pending--;
	t->reads[read] = (struct table_read){.next_free = t->reads_free};
	t->reads_free = read;
}

void
table_keep_init(struct table *t, uint32_t opcode, const void *init, size_t len)
{
	t->init_opcode = opcode;
	t->init_len = len < TABLE_INIT_MAX ? (uint32_t)len : TABLE_INIT_MAX;
	memcpy(t->init, init, t->init_len);
}
