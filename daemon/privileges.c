/* SPDX-License-Identifier: MIT */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/priv/sandbox.h"
#include "lib/secret.h"

const char *
privileges_user(const char *configured)
{
	bool root = geteuid() == 0;

	if (root && strcmp(configured, "root") == 0) {
		log_warn("user = root: the daemon stays root, so an attacker who gains control of"
			 " it is root; without this line it becomes " PRIVILEGES_USER);
		return NULL;
	}
	if (configured[0] != '\0')
		return configured;
	if (root && getpwnam(PRIVILEGES_USER) != NULL)
		return PRIVILEGES_USER;
	if (root)
		log_warn("there is no user " PRIVILEGES_USER
			 ": the daemon stays root; make the user"
			 " (useradd --system " PRIVILEGES_USER "), or write user = root");
	return NULL;
}

int
privileges_give(const char *path, const char *user)
{
	const struct passwd *owner = getpwnam(user);

	if (owner == NULL)
		return -ENOENT;
	return lchown(path, owner->pw_uid, owner->pw_gid) == 0 ? 0 : -errno;
}

/* All three uids and gids are those of `user`, and there is no way back. */
static bool
privileges_held(const struct passwd *user)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != user->pw_uid || gid[i] != user->pw_gid)
			return false;
	return user->pw_uid == 0 || setuid(0) != 0;
}

int
privileges_drop(const char *name)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (user == NULL)
		return errno != 0 ? -errno : -ENOENT;
	if (geteuid() != 0)
		return geteuid() == user->pw_uid ? 0 : -EPERM;
	if (initgroups(name, user->pw_gid) != 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
		return -errno;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	secret_shield(); /* changing the uid makes a process dumpable again */
	return privileges_held(user) ? 0 : -EPERM;
}

int
privileges_seal(bool set_uid)
{
	int result = geteuid() == 0 ? 0 : capability_keep_only(CAPABILITY_NONE);

	if (result == 0 && !set_uid && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		result = -errno;
	return result;
}
