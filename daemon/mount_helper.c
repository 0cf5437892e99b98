/* SPDX-License-Identifier: MIT */
#include "daemon/mount_helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cuse/claim.h"
#include "daemon/files.h"
#include "daemon/privileges.h"
#include "priv/lock.h"
#include "priv/mount.h"
#include "priv/mounter.h"

_Static_assert(MOUNTER_PATH_MAX == DEVICE_PATH_MAX, "the path of a device");

/* Of the configuration, when the process began: a helper is one process for one peer. */
static struct {
	size_t count;
	char paths[CONFIG_DEVICES_MAX][DEVICE_PATH_MAX];
	uid_t peer;
} allowed;

/* ---- before it is confined ---- */

/* What others can write gives no rights. */
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

static int
find_peer(const char *user)
{
	const char *name = user[0] != '\0' ? user : PRIVILEGES_USER;
	const struct passwd *daemon = getpwnam(name);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return -errno;
	allowed.peer = peer.uid;
	if (peer.uid == 0 || (daemon != NULL && daemon->pw_uid == peer.uid))
		return 0;
	log_err(MOUNTER_NAME ": uid %u asked, but only the daemon's user %s may", peer.uid, name);
	return -EPERM;
}

static int
prepare(const char *config_path)
{
	struct config config;
	int result;

	if (!is_roots_file(config_path) || !files_read_config(config_path, &config))
		return -EACCES;
	result = find_peer(config.user);
	for (size_t i = 0; result == 0 && i < config.device_count; i++)
		if (claim_resolve(config.devices[i].path, allowed.paths[allowed.count],
				  sizeof(allowed.paths[0])) == 0)
			allowed.count++;
	return result;
}

/* ---- its acts ---- */

static bool
is_allowed(const struct mounter_request *request)
{
	if (memchr(request->path, '\0', sizeof(request->path)) == NULL)
		return false;
	for (size_t i = 0; i < allowed.count; i++)
		if (strcmp(request->path, allowed.paths[i]) == 0)
			return true;
	log_err(MOUNTER_NAME ": %s: no [device] of the configuration has this path", request->path);
	return false;
}

/* Whether the act can be done with what is on top there: nothing that is mounted is looked at. */
static int
look(enum mounter_act act, const char *path)
{
	enum priv_mounted mounted, wanted = PRIV_MOUNTED_NOTHING;
	int result;

	if (act == MOUNTER_LOCK || act == MOUNTER_UNLOCK)
		return 0;
	if (act == MOUNTER_UNMOUNT)
		wanted = PRIV_MOUNTED_OURS;
	result = priv_mount_look(path, &mounted, NULL);
	return result == 0 && mounted != wanted ? -EEXIST : result;
}

/* An fd, 0, or -errno. */
static int
perform(enum mounter_act act, const char *path, pid_t *ret_holder)
{
	int result = look(act, path);

	if (result < 0)
		return result;
	switch (act) {
	case MOUNTER_LOCK:
		return priv_lock(path, ret_holder);
	case MOUNTER_UNLOCK:
		return priv_lock_remove(path);
	case MOUNTER_CREATE:
		return priv_mount_point_create(path);
	case MOUNTER_REMOVE:
		return priv_mount_point_remove(path);
	case MOUNTER_MOUNT:
		return priv_mount_of(path, allowed.peer);
	case MOUNTER_UNMOUNT:
		return priv_unmount(path);
	}
	return -EINVAL;
}

static bool
act(int prepared, const void *request, int fd, void *ret_answer, int *ret_fd)
{
	const struct mounter_request *r = request;
	struct mounter_answer *answer = ret_answer;
	pid_t holder = 0;

	(void)fd;
	if (prepared == 0 && !is_allowed(r))
		return false;
	if (prepared == 0)
		prepared = perform(r->act, r->path, &holder);
	answer->result = prepared < 0 ? prepared : 0;
	answer->holder = holder;
	if (prepared > 0)
		*ret_fd = prepared;
	return true;
}

static const struct sandbox_call calls[] = {
	{.name = "recvmsg sendmsg geteuid openat flock ftruncate pread64 pwrite64 newfstatat "
		 "readlink"
		 " unlink mount umount2"},
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
