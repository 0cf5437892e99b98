/* SPDX-License-Identifier: MIT */
#include "egd/server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/fd_store.h"
#include "lib/log.h"
#include "lib/net.h"

/* ---- the address ---- */

static const struct kind {
	const char *prefix;
	/* NULL: a path or a name follows, or `error` is reported. */
	const char *(*parse)(const char *rest, struct address *ret);
	const char *error;
} kinds[EGD_LISTEN_KINDS] = {
	[EGD_LISTEN_UNIX] = {"unix:", NULL, "expected an absolute path behind unix:"},
	[EGD_LISTEN_TCP] = {"tcp:", address_parse_inet, NULL},
	[EGD_LISTEN_TLS] = {"tls:", address_parse_inet, NULL},
	[EGD_LISTEN_VSOCK] = {"vsock:", address_parse_vsock_listen, NULL},
	[EGD_LISTEN_SYSTEMD] = {"systemd:", NULL, "expected a FileDescriptorName= behind systemd:"},
	[EGD_LISTEN_XEN] = {"xen:", NULL, "expected an absolute path behind xen:"},
};

const char *
egd_listener_rest(const char *address, enum egd_listen_kind kind)
{
	size_t len = strlen(kinds[kind].prefix);

	return strncmp(address, kinds[kind].prefix, len) == 0 ? address + len : NULL;
}

/* Returns EGD_LISTEN_KINDS for an unknown prefix; *ret_rest is the text behind a known one. */
static enum egd_listen_kind
kind_of(const char *address, const char **ret_rest)
{
	enum egd_listen_kind kind = EGD_LISTEN_UNIX;

	while (kind < EGD_LISTEN_KINDS && (*ret_rest = egd_listener_rest(address, kind)) == NULL)
		kind++;
	return kind;
}

const char *
egd_listener_address_error(const char *address)
{
	struct address parsed;
	const char *rest;
	enum egd_listen_kind kind = kind_of(address, &rest);

	if (kind == EGD_LISTEN_KINDS)
		return "expected unix:PATH, tcp:ADDRESS:PORT, tls:ADDRESS:PORT, vsock:PORT, "
		       "systemd:NAME or xen:DIRECTORY";
	if (kinds[kind].parse != NULL)
		return kinds[kind].parse(rest, &parsed);
	if (kind != EGD_LISTEN_SYSTEMD)
		return rest[0] == '/' ? NULL : kinds[kind].error;
	if (strncmp(rest, FD_STORE_PREFIX, strlen(FD_STORE_PREFIX)) == 0)
		return "names that begin with " FD_STORE_PREFIX " are the daemon's own: give the "
		       "socket another FileDescriptorName=";
	return rest[0] != '\0' ? NULL : kinds[kind].error;
}

/* ---- the section ---- */

static bool
has_tls_keys(const struct egd_listen_config *config)
{
	return config->tls.psk[0] != '\0' || config->tls.cert[0] != '\0';
}

bool
egd_listener_is_tls(const struct egd_listen_config *config)
{
	return egd_listener_rest(config->address, EGD_LISTEN_TLS) != NULL ||
	       (egd_listener_rest(config->address, EGD_LISTEN_SYSTEMD) != NULL &&
		has_tls_keys(config));
}

/* Returns whether other machines can reach it, and neither `allow` nor TLS restricts clients. */
static bool
is_open_to_all(const struct egd_listen_config *config, const struct address *address)
{
	bool proven = egd_listener_is_tls(config) &&
		      (config->tls.psk[0] != '\0' || config->tls.ca[0] != '\0');

	return !proven && config->allow[0] == '\0' && !address_is_loopback(address);
}

static const char allow_needed[] =
	"other machines can reach it: restrict clients with allow = NETWORKS";

static const char *
tls_error(const struct egd_listen_config *config, enum egd_listen_kind kind)
{
	bool key_or_ca = config->tls.key[0] != '\0' || config->tls.ca[0] != '\0';

	if (kind == EGD_LISTEN_TLS && !has_tls_keys(config))
		return "tls: needs psk, or cert";
	if ((has_tls_keys(config) || key_or_ca) && kind != EGD_LISTEN_TLS &&
	    kind != EGD_LISTEN_SYSTEMD)
		return "psk, cert, key and ca are for tls: and systemd: only";
	return key_or_ca && config->tls.cert[0] == '\0' ? "key and ca need cert" : NULL;
}

/* Clients over Unix sockets have addresses when a proxy passes them on. */
static const char *
networks_error(const struct egd_listen_config *config, enum egd_listen_kind kind)
{
	bool inet = kind == EGD_LISTEN_TCP || kind == EGD_LISTEN_TLS || kind == EGD_LISTEN_SYSTEMD;
	struct egd_proxies proxies = {0};

	(void)egd_proxies_parse(config->proxy_from, &proxies);
	if (proxies.count > 0 && kind != EGD_LISTEN_UNIX && kind != EGD_LISTEN_SYSTEMD)
		return "proxy-from = USER is for unix: and systemd:";
	if (!inet &&
	    (proxies.networks.count > 0 || (config->allow[0] != '\0' && proxies.count == 0)))
		return "allow and proxy-from are for networks: tcp:, tls: and systemd:; unix: has"
		       " proxy-from = USER, and allow with it";
	return NULL;
}

const char *
egd_listener_error(const struct egd_listen_config *config)
{
	struct address address;
	const char *rest, *error;
	enum egd_listen_kind kind = kind_of(config->address, &rest);

	if (kind == EGD_LISTEN_KINDS)
		return NULL; /* reported with the address */
	if (kind != EGD_LISTEN_UNIX && config->owner[0] != '\0')
		return "owner is for unix: only";
	error = networks_error(config, kind);
	if (error == NULL)
		error = tls_error(config, kind);
	if (error == NULL && kinds[kind].parse == address_parse_inet &&
	    address_parse_inet(rest, &address) == NULL && is_open_to_all(config, &address))
		error = allow_needed;
	return error;
}

/* Looks up "USER", "USER:GROUP" or ":GROUP"; -1 for the part that is absent. */
static int
find_owner(const char *owner, uid_t *ret_uid, gid_t *ret_gid)
{
	char user[EGD_OWNER_MAX];
	char *group = user;
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;

	memcpy(user, owner, sizeof(user));
	strsep(&group, ":");
	if ((user[0] != '\0' && (pw = getpwnam(user)) == NULL) ||
	    (group != NULL && (gr = getgrnam(group)) == NULL))
		return -EINVAL;
	*ret_uid = pw != NULL ? pw->pw_uid : (uid_t)-1;
	*ret_gid = gr != NULL ? gr->gr_gid : (gid_t)-1;
	return 0;
}

static const char *
owner_error(int error)
{
	switch (-error) {
	case EINVAL:
		return "no such user or group";
	case EPERM:
		return "only root may, or a member of that group: install the drop-in that "
		       "`ekeyctl unit` prints";
	default:
		return strerror(-error);
	}
}

const char *
egd_listener_missing(const struct egd_listen_config *config)
{
	uid_t uid;
	gid_t gid;
	int result = config->owner[0] != '\0' ? find_owner(config->owner, &uid, &gid) : 0;

	return result < 0 ? owner_error(result) : NULL;
}

void
egd_listener_warn(const struct egd_listen_config *config)
{
	struct egd_proxies proxies = {0};

	(void)egd_proxies_parse(config->proxy_from, &proxies);
	if (egd_acl_have_own(&proxies.networks))
		log_warn("listen %s: proxy-from has this machine, any user of which can claim any "
			 "address: give the proxy a unix: listener with proxy-from = its user",
			 config->name);
}

bool
egd_listener_check(const struct egd_listen_config *config)
{
	const char *missing = egd_listener_missing(config);

	if (missing != NULL)
		log_err("listen %s: owner = %s: %s", config->name, config->owner, missing);
	egd_listener_warn(config);
	return missing == NULL;
}

/* ---- the socket ---- */

/* Logs that the socket cannot be opened; returns `error`. */
static int
fail(const struct egd_listen_config *config, int error, const char *hint)
{
	log_err("listen %s: %s: %s%s", config->name, config->address, strerror(-error), hint);
	return error;
}

/* Returns true when `fd` was bound to `path`, where there may be another socket by now. */
static bool
is_bound_to(int fd, const char *path)
{
	struct sockaddr_un bound = {0};
	socklen_t len = sizeof(bound);

	return getsockname(fd, (struct sockaddr *)&bound, &len) == 0 &&
	       bound.sun_family == AF_UNIX &&
	       strncmp(bound.sun_path, path, sizeof(bound.sun_path)) == 0;
}

/* Returns false when the kernel does not tell it. */
static bool
bound_address(int fd, struct address *ret)
{
	ret->len = sizeof(struct address) - offsetof(struct address, any);
	return getsockname(fd, &ret->any, &ret->len) == 0;
}

static bool
is_bound_at(int fd, const struct address *address)
{
	char wanted[ADDRESS_TEXT_MAX], bound[ADDRESS_TEXT_MAX];
	struct address at;

	if (!bound_address(fd, &at))
		return false;
	address_text(address, wanted);
	address_text(&at, bound);
	return strcmp(wanted, bound) == 0;
}

bool
egd_listener_resumes(const struct egd_listen_config *config, int fd)
{
	struct address address;
	const char *rest;
	enum egd_listen_kind kind = kind_of(config->address, &rest);

	if (kind == EGD_LISTEN_UNIX)
		return is_bound_to(fd, rest) && access(rest, F_OK) == 0;
	return kind != EGD_LISTEN_KINDS && kinds[kind].parse != NULL &&
	       kinds[kind].parse(rest, &address) == NULL && is_bound_at(fd, &address);
}

/* Sets the mode of `previous`, which the configuration may have changed, or opens a new socket. */
static int
listen_at_path(const struct egd_listen_config *config, const char *path, int previous)
{
	if (previous >= 0 && net_unix_chmod(path, config->mode) == 0)
		return previous;
	if (previous >= 0)
		close(previous);
	return net_unix_listen(path, config->mode);
}

static int
open_path(const struct egd_listen_config *config, const char *path, int previous)
{
	int result = 0, fd = listen_at_path(config, path, previous);
	uid_t uid;
	gid_t gid;

	if (fd < 0)
		return fail(config, fd,
			    fd == -EADDRINUSE ? ": another process answers there"
			    : fd == -EEXIST   ? " and is no socket: remove it, or choose another"
			    : fd == -ENOENT   ? ": create its directory"
					      : "");
	if (config->owner[0] != '\0')
		result = find_owner(config->owner, &uid, &gid);
	if (result == 0 && config->owner[0] != '\0')
		result = net_unix_chown(path, uid, gid);
	if (result == 0)
		return fd;
	log_err("listen %s: cannot make %s the owner of %s: %s", config->name, config->owner, path,
		owner_error(result));
	egd_listener_close(config->address, fd);
	return result;
}

static bool
is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* Duplicates `given`, which can then be used again after a reload. */
static int
open_given(const struct egd_listen_config *config, int given)
{
	struct address address;
	const char *error = NULL;
	int fd;

	if (given < 0)
		error = "systemd passed no socket with this FileDescriptorName=";
	else if (!is_listening(given))
		error = "expected a listening stream socket: set Accept=no";
	else if (bound_address(given, &address) &&
		 (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) &&
		 is_open_to_all(config, &address))
		error = allow_needed;
	if (error != NULL) {
		log_err("listen %s: %s: %s", config->name, config->address, error);
		return -EINVAL;
	}
	/* Both share O_NONBLOCK. */
	if (fcntl(given, F_SETFL, O_NONBLOCK) != 0 || (fd = fcntl(given, F_DUPFD_CLOEXEC, 3)) < 0)
		return fail(config, -errno, "");
	return fd;
}

int
egd_listener_open(const struct egd_listen_config *config, int given, int previous)
{
	struct address address;
	const char *rest, *error;
	enum egd_listen_kind kind = kind_of(config->address, &rest);
	int fd = previous;

	if (kind == EGD_LISTEN_UNIX)
		return open_path(config, rest, previous);
	if (kind == EGD_LISTEN_SYSTEMD)
		return open_given(config, given);
	if (kind == EGD_LISTEN_KINDS || kinds[kind].parse == NULL)
		return -EINVAL;
	error = kinds[kind].parse(rest, &address);
	if (error != NULL) { /* an interface can be gone since the configuration was read */
		log_err("listen %s: %s: %s", config->name, config->address, error);
		return -EADDRNOTAVAIL;
	}
	if (fd < 0)
		fd = net_listen(&address);
	return fd >= 0 ? fd : fail(config, fd, net_listen_hint(-fd));
}

void
egd_listener_close(const char *address, int fd)
{
	const char *path = egd_listener_rest(address, EGD_LISTEN_UNIX);

	close(fd);
	if (path != NULL)
		net_unix_unlink(path);
}
