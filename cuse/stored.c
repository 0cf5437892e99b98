/* SPDX-License-Identifier: MIT */
#include "cuse/stored.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

/*
 * Two names for tables, used in turn: a daemon that is killed while it resumes the device leaves
 * the previous table, or both, of which the later one counts.
 */
enum part { CONNECTION, LOCK, TABLE_EVEN, TABLE_ODD, PARTS };

static const char *const parts[PARTS] = {"connection", "lock", "table0", "table1"};

static const char *
part_name(const char *device, enum part part, char ret[static FD_STORE_NAME_MAX])
{
	snprintf(ret, FD_STORE_NAME_MAX, FD_STORE_PREFIX "device.%s.%s", device, parts[part]);
	return ret;
}

static enum part
table_part(const struct table *table)
{
	return table->generation % 2 == 0 ? TABLE_EVEN : TABLE_ODD;
}

bool
stored_is_there(const struct fd_store *store, const char *name)
{
	char text[FD_STORE_NAME_MAX];

	return fd_store_has(store, part_name(name, CONNECTION, text));
}

static int
take_part(struct fd_store *store, const char *name, enum part part)
{
	char text[FD_STORE_NAME_MAX];

	return fd_store_take(store, part_name(name, part, text));
}

static void
close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The later of the tables that came back; closes the other. -1: none came back. */
static int
take_table(struct fd_store *store, const char *name)
{
	int even = take_part(store, name, TABLE_EVEN), odd = take_part(store, name, TABLE_ODD);
	bool odd_is_later =
		odd >= 0 && (even < 0 || table_generation(odd) > table_generation(even));

	close_if_open(odd_is_later ? even : odd);
	return odd_is_later ? odd : even;
}

static const char *
table_problem(int error)
{
	return error == -EPROTO   ? "another version wrote it"
	       : error == -EINVAL ? "it is inconsistent"
				  : strerror(-error);
}

void
stored_take(struct fd_store *store, const char *name, struct stored_device *ret)
{
	int result, fd = take_table(store, name);

	*ret = (struct stored_device){.connection = take_part(store, name, CONNECTION),
				      .lock = take_part(store, name, LOCK),
				      .table_fd = -1};
	result = fd < 0 ? -ENOENT : table_resume(fd, &ret->table, &ret->table_fd);
	close_if_open(fd);
	if ((result == 0 && ret->connection >= 0) ||
	    (fd < 0 && ret->connection < 0 && ret->lock < 0))
		return;
	log_warn(
		"device %s: cannot be resumed and is published again, its open files end: its saved"
		" state cannot be used: %s",
		name, ret->connection < 0 ? "it is incomplete" : table_problem(result));
	stored_discard(store, name, ret);
}

void
stored_discard(struct fd_store *store, const char *name, struct stored_device *device)
{
	stored_remove(store, name);
	close_if_open(device->connection);
	close_if_open(device->lock);
	close_if_open(device->table_fd);
	table_free(&device->table);
	*device = (struct stored_device){.connection = -1, .lock = -1, .table_fd = -1};
}

static void
put_part(struct fd_store *store, const char *name, enum part part, int fd)
{
	char text[FD_STORE_NAME_MAX];

	if (fd >= 0)
		fd_store_put(store, part_name(name, part, text), fd);
}

bool
stored_put(struct fd_store *store, const char *name, const struct stored_device *device)
{
	enum part now = table_part(device->table);
	char text[FD_STORE_NAME_MAX];

	put_part(store, name, now, device->table_fd);
	if (device->table->generation > 0) {
		(void)fd_store_wait(store);
		fd_store_remove(store,
				part_name(name, now == TABLE_EVEN ? TABLE_ODD : TABLE_EVEN, text));
	} else {
		put_part(store, name, LOCK, device->lock);
		put_part(store, name, CONNECTION, device->connection);
	}
	return fd_store_wait(store);
}

void
stored_remove(struct fd_store *store, const char *name)
{
	char text[FD_STORE_NAME_MAX];

	for (enum part part = CONNECTION; part < PARTS; part++)
		fd_store_remove(store, part_name(name, part, text));
	(void)fd_store_wait(store);
}
