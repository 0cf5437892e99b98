/* SPDX-License-Identifier: MIT */
#include "daemon/mount_helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse/path_lock.h"
#include "daemon/files.h"
#include "daemon/privileges.h"
#include "lib/log.h"
#include "lib/priv/lock.h"
#include "lib/priv/mount.h"
#include "lib/priv/mounter.h"

_Static_assert(MOUNTER_PATH_MAX == DEVICE_PATH_MAX, "the path of a device");

/* From the configuration at the start of the process, which has one peer. */
static struct {
	size_t count;
	char paths[CONFIG_DEVICES_MAX][DEVICE_PATH_MAX];
	struct ucred peer;
	uid_t owner; /* the daemon's user */
} allowed;

/* ---- before it is confined ---- */

/* A file that others can write gives no rights. */
static bool
is_roots_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	log_err(MOUNTER_NAME ": %s: must be a file that root alone can write: chown root, chmod"
			     " go-w",
		path);
	return false;
}

/* 0, or -EPERM after a line in the log. */
static int
check_peer(const char *user)
{
	const char *name = user[0] != '\0' ? user : PRIVILEGES_USER;
	const struct passwd *daemon = getpwnam(name);

	allowed.owner = daemon != NULL ? daemon->pw_uid : 0;
	if (allowed.peer.uid == 0 || allowed.peer.uid == allowed.owner)
		return 0;
	log_err(MOUNTER_NAME ": uid %u asked, but only the daemon's user %s may", allowed.peer.uid,
		name);
	return -EPERM;
}

/* Root's own daemon, before it becomes another user, has read the file too. */
static int
prepare(const char *config_path)
{
	socklen_t size = sizeof(allowed.peer);
	struct config config;
	int result;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &allowed.peer, &size) != 0)
		return -errno;
	if ((allowed.peer.uid != 0 && !is_roots_file(config_path)) ||
	    !files_read_config(config_path, &config))
		return -EACCES;
	result = check_peer(config.user);
	for (size_t i = 0; result == 0 && i < config.device_count; i++)
		if (path_lock_resolve(config.devices[i].path, allowed.paths[allowed.count],
				      sizeof(allowed.paths[0])) == 0)
			allowed.count++;
	return result;
}

/* ---- its acts ---- */

/*
 * Makes the directory of `path` the working directory, for acts on a name in it: no symbolic link
 * that took the place of a directory since can lead them elsewhere.
 */
static bool
enter_directory(const char *path, int len)
{
	char directory[DEVICE_PATH_MAX], entered[DEVICE_PATH_MAX];

	snprintf(directory, sizeof(directory), "%.*s", len > 0 ? len : 1, path);
	return chdir(directory) == 0 && getcwd(entered, sizeof(entered)) != NULL &&
	       strcmp(entered, directory) == 0;
}

/* Acts that undo are for the holder of the path too: the configuration may have changed since. */
static bool
is_allowed(enum mounter_act act, const char *path, const char *name)
{
	bool undoes = act == MOUNTER_UNMOUNT || act == MOUNTER_REMOVE || act == MOUNTER_UNLOCK;

	for (size_t i = 0; i < allowed.count; i++)
		if (strcmp(path, allowed.paths[i]) == 0)
			return true;
	return undoes && priv_lock_names(name, allowed.peer.pid, allowed.owner);
}

/* Checks that the top mount at the path allows the act; never asks a mounted file system. */
static int
check_mounted(enum mounter_act act, const char *path)
{
	enum priv_mounted mounted, wanted = PRIV_MOUNTED_NOTHING;
	int result;

	if (act == MOUNTER_LOCK || act == MOUNTER_UNLOCK)
		return 0;
	if (act == MOUNTER_UNMOUNT)
		wanted = PRIV_MOUNTED_OURS;
	result = priv_mount_look(path, &mounted);
	return result == 0 && mounted != wanted ? -EEXIST : result;
}

/* An fd, 0, or -errno. */
static int
perform(enum mounter_act act, const char *name, pid_t *ret_holder)
{
	switch (act) {
	case MOUNTER_LOCK:
		return priv_lock(name, ret_holder);
	case MOUNTER_UNLOCK:
		return priv_lock_remove(name);
	case MOUNTER_CREATE:
		return priv_mount_point_create(name);
	case MOUNTER_REMOVE:
		return priv_mount_point_remove(name);
	case MOUNTER_MOUNT:
		return priv_mount_of(name, allowed.owner);
	case MOUNTER_UNMOUNT:
		return priv_unmount(name);
	}
	return -EINVAL;
}

static int
check_and_perform(const struct mounter_request *request, pid_t *ret_holder)
{
	const char *slash = strrchr(request->path, '/');
	int result;

	if (slash == NULL || !enter_directory(request->path, (int)(slash - request->path)) ||
	    !is_allowed(request->act, request->path, slash + 1)) {
		log_err(MOUNTER_NAME ": %s: no [device] had this path when " MOUNTER_NAME
				     " started, or its directory cannot be opened",
			request->path);
		return -EACCES;
	}
	result = check_mounted(request->act, request->path);
	return result == 0 ? perform(request->act, slash + 1, ret_holder) : result;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	const struct mounter_request *r = request;
	struct mounter_answer *answer = ret_answer;
	int result = prepared;

	(void)fd;
	if (memchr(r->path, '\0', sizeof(r->path)) == NULL)
		return false;
	if (prepared == 0)
		result = check_and_perform(r, &answer->holder);
	answer->result = result < 0 ? result : 0;
	if (result > 0)
		*ret_fd = result;
	return true;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg sendmsg geteuid openat chdir getcwd flock ftruncate pread64 pwrite64"
		 " newfstatat readlink unlink mount umount2"},
	{.name = NULL},
};

const struct helper_role mount_helper_role = {
	.name = MOUNTER_NAME,
	.does = "mounts and unmounts the devices by FUSE of the configuration",
	.capability = CAP_SYS_ADMIN,
	.request_size = sizeof(struct mounter_request),
	.answer_size = sizeof(struct mounter_answer),
	.timeout_s = MOUNTER_TIMEOUT_S,
	.sandbox = {.calls = calls, .files_max = 16, .memory_bytes = 256U << 20},
	.prepare = prepare,
	.act = act,
};
