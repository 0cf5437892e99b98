/* SPDX-License-Identifier: MIT */
#include "lib/fd_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* A service manager that has not answered by then is not waited for. */
#define ANSWER_US 5000000

struct stored {
	char name[FD_STORE_NAME_MAX];
	int fd;
};

struct fd_store {
	bool works;
	unsigned count;
	struct stored at[FD_STORE_MAX];
};

/*
 * Moves `fd` to another number and leaves /dev/null there: sd_listen_fds(3) counts on an unbroken
 * row of descriptors each time it is called.
 */
static int
move_away(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup3(null, fd, O_CLOEXEC) < 0)
		close(fd);
	if (null >= 0)
		close(null);
	return moved;
}

static void
take_over(struct fd_store *s, const char *name, int fd)
{
	struct stored *stored = &s->at[s->count];

	if (strncmp(name, FD_STORE_PREFIX, strlen(FD_STORE_PREFIX)) != 0)
		return;
	fd = move_away(fd);
	if (fd < 0)
		return;
	if (s->count == FD_STORE_MAX || strlen(name) >= sizeof(stored->name)) {
		close(fd);
		return;
	}
	snprintf(stored->name, sizeof(stored->name), "%s", name);
	stored->fd = fd;
	s->count++;
}

struct fd_store *
fd_store_new(void)
{
	struct fd_store *s = calloc(1, sizeof(*s));
	char **names = NULL;
	int count;

	if (s == NULL)
		return NULL;
	count = sd_listen_fds_with_names(0, &names);
	/*
	 * FDSTORE is set by systemd since version 254, and by our unit for older ones. A count of 0
	 * sockets is -EINVAL to libsystemd; -ENOSYS: built without it.
	 */
	s->works = count != -ENOSYS && getenv("NOTIFY_SOCKET") != NULL && getenv("FDSTORE") != NULL;
	for (int i = 0; i < count; i++) {
		take_over(s, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	free(names);
	return s;
}

void
fd_store_free(struct fd_store **store)
{
	struct fd_store *s = *store;

	*store = NULL;
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->count; i++)
		close(s->at[i].fd);
	free(s);
}

bool
fd_store_works(const struct fd_store *s)
{
	return s->works;
}

unsigned
fd_store_count(const struct fd_store *s)
{
	return s->count;
}

const char *
fd_store_name(const struct fd_store *s, unsigned i)
{
	return s->at[i].name;
}

/* Returns its index, or `count`: there is none. */
static unsigned
find(const struct fd_store *s, const char *name)
{
	unsigned i = 0;

	while (i < s->count && strcmp(s->at[i].name, name) != 0)
		i++;
	return i;
}

bool
fd_store_has(const struct fd_store *s, const char *name)
{
	return find(s, name) < s->count;
}

int
fd_store_take(struct fd_store *s, const char *name)
{
	unsigned i = find(s, name);
	int fd;

	if (i == s->count)
		return -1;
	fd = s->at[i].fd;
	s->at[i] = s->at[--s->count];
	return fd;
}

void
fd_store_put(struct fd_store *s, const char *name, int fd)
{
	char text[64 + FD_STORE_NAME_MAX];

	if (!s->works)
		return;
	/* FDPOLL=0: the service manager keeps it even when the kernel has ended the connection. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	(void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void
fd_store_remove(struct fd_store *s, const char *name)
{
	if (s->works)
		(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

bool
fd_store_wait(struct fd_store *s)
{
	return s->works && sd_notify_barrier(0, ANSWER_US) > 0;
}
