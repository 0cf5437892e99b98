/* SPDX-License-Identifier: MIT */
#include "egd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/fd_store.h"
#include "base/log.h"
#include "base/net.h"

/* ---- the address ---- */

enum kind { KIND_UNIX, KIND_TCP, KIND_TLS, KIND_VSOCK, KIND_SYSTEMD, KIND_XEN, KINDS };

static const char *const prefixes[KINDS] = {"unix:", "tcp:", "tls:", "vsock:", "systemd:", "xen:"};

/* KINDS when it is none; *ret_rest is what follows the prefix. */
static enum kind
kind_of(const char *address, const char **ret_rest)
{
	enum kind kind = KIND_UNIX;

	while (kind < KINDS && strncmp(address, prefixes[kind], strlen(prefixes[kind])) != 0)
		kind++;
	if (kind < KINDS)
		*ret_rest = address + strlen(prefixes[kind]);
	return kind;
}

const char *
egd_listener_address_error(const char *address)
{
	struct address parsed;
	const char *rest;

	switch (kind_of(address, &rest)) {
	case KIND_UNIX:
		return rest[0] == '/' ? NULL : "an absolute path is needed behind unix:";
	case KIND_TCP:
	case KIND_TLS:
		return address_parse_inet(rest, &parsed);
	case KIND_VSOCK:
		return address_parse_vsock_listen(rest, &parsed);
	case KIND_SYSTEMD:
		if (rest[0] == '\0')
			return "a FileDescriptorName= is needed behind systemd:";
		return strncmp(rest, FD_STORE_PREFIX, strlen(FD_STORE_PREFIX)) != 0
			       ? NULL
			       : "names that begin with " FD_STORE_PREFIX
				 " are the daemon's own: give the socket another "
				 "FileDescriptorName=";
	case KIND_XEN:
		return rest[0] == '/' ? NULL : "an absolute path is needed behind xen:";
	case KINDS:
		break;
	}
	return "unix:PATH, tcp:ADDRESS:PORT, tls:ADDRESS:PORT, vsock:PORT, systemd:NAME or "
	       "xen:DIRECTORY is needed";
}

const char *
egd_listener_given_name(const char *address)
{
	const char *rest;

	return kind_of(address, &rest) == KIND_SYSTEMD ? rest : NULL;
}

const char *
egd_listener_path(const char *address)
{
	const char *rest;

	return kind_of(address, &rest) == KIND_UNIX ? rest : NULL;
}

const char *
egd_listener_xen_directory(const char *address)
{
	const char *rest;

	return kind_of(address, &rest) == KIND_XEN ? rest : NULL;
}

/* ---- the section ---- */

static bool
has_tls_keys(const struct egd_listen_config *config)
{
	return config->psk[0] != '\0' || config->cert[0] != '\0';
}

bool
egd_listener_is_tls(const struct egd_listen_config *config)
{
	const char *rest;
	enum kind kind = kind_of(config->address, &rest);

	return kind == KIND_TLS || (kind == KIND_SYSTEMD && has_tls_keys(config));
}

/* Whether strangers could reach it, and nothing says who may. */
static bool
is_open_to_all(const struct egd_listen_config *config, const struct address *address)
{
	bool proven =
		egd_listener_is_tls(config) && (config->psk[0] != '\0' || config->ca[0] != '\0');

	return !proven && config->allow[0] == '\0' && !address_is_loopback(address);
}

static const char allow_needed[] =
	"others than this machine can reach it: say who may with allow = NETWORKS";

static const char *
tls_error(const struct egd_listen_config *config, enum kind kind)
{
	bool any = has_tls_keys(config) || config->key[0] != '\0' || config->ca[0] != '\0';

	if (kind == KIND_TLS && !has_tls_keys(config))
		return "tls: needs psk, or cert";
	if (any && kind != KIND_TLS && kind != KIND_SYSTEMD)
		return "psk, cert, key and ca are for tls: and systemd: only";
	if ((config->key[0] != '\0' || config->ca[0] != '\0') && config->cert[0] == '\0')
		return "key and ca go with cert";
	return NULL;
}

/* Clients over Unix sockets have addresses when a proxy says so. */
static const char *
networks_error(const struct egd_listen_config *config, enum kind kind)
{
	bool inet = kind == KIND_TCP || kind == KIND_TLS || kind == KIND_SYSTEMD;
	struct egd_proxies proxies = {0};

	(void)egd_proxies_parse(config->proxy_from, &proxies);
	if (proxies.count > 0 && kind != KIND_UNIX && kind != KIND_SYSTEMD)
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
	enum kind kind = kind_of(config->address, &rest);

	if (kind == KINDS)
		return NULL; /* said of the address already */
	if (kind != KIND_UNIX && config->owner[0] != '\0')
		return "owner is for unix: only";
	error = networks_error(config, kind);
	if (error == NULL)
		error = tls_error(config, kind);
	if (error == NULL && (kind == KIND_TCP || kind == KIND_TLS) &&
	    address_parse_inet(rest, &address) == NULL && is_open_to_all(config, &address))
		error = allow_needed;
	return error;
}

/* ---- the socket ---- */

/* Looks up "USER", "USER:GROUP" or ":GROUP"; what is not named is -1. */
static int
find_owner(const char *owner, uid_t *ret_uid, gid_t *ret_gid)
{
	char user[EGD_OWNER_MAX];
	char *group = user;

	*ret_uid = (uid_t)-1;
	*ret_gid = (gid_t)-1;
	memcpy(user, owner, sizeof(user));
	strsep(&group, ":");
	if (user[0] != '\0') {
		const struct passwd *pw = getpwnam(user);

		if (pw == NULL)
			return -EINVAL;
		*ret_uid = pw->pw_uid;
	}
	if (group != NULL) {
		const struct group *gr = getgrnam(group);

		if (gr == NULL)
			return -EINVAL;
		*ret_gid = gr->gr_gid;
	}
	return 0;
}

static int
set_owner(const char *path, const char *owner)
{
	uid_t uid;
	gid_t gid;
	int result = find_owner(owner, &uid, &gid);

	return result == 0 ? net_unix_chown(path, uid, gid) : result;
}

static const char *
owner_error(int error)
{
	switch (-error) {
	case EINVAL:
		return "no such user or group";
	case EPERM:
		return "only root may, or a member of that group: install what `ekeyctl unit` "
		       "prints";
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

const char *
egd_listener_warning(const struct egd_listen_config *config)
{
	struct egd_proxies proxies = {0};

	(void)egd_proxies_parse(config->proxy_from, &proxies);
	return egd_networks_have_own(&proxies.networks)
		       ? "proxy-from has this machine, any user of which can claim any address: "
			 "give"
			 " the proxy a unix: listener with proxy-from = its user"
		       : NULL;
}

/* True when `fd` was bound to `path`, where another socket may be by now. */
static bool
is_bound_to(int fd, const char *path)
{
	struct sockaddr_un bound = {0};
	socklen_t len = sizeof(bound);

	return fd >= 0 && getsockname(fd, (struct sockaddr *)&bound, &len) == 0 &&
	       bound.sun_family == AF_UNIX &&
	       strncmp(bound.sun_path, path, sizeof(bound.sun_path)) == 0;
}

/* Resumes `previous`, whose mode may have been changed in the configuration, or binds anew. */
static int
listen_at(const struct egd_listen_config *config, const char *path, int previous)
{
	if (is_bound_to(previous, path) && net_unix_chmod(path, config->mode) == 0)
		return previous;
	if (previous >= 0)
		close(previous);
	return net_unix_listen(path, config->mode);
}

static int
open_unix(const struct egd_listen_config *config, const char *path, int previous)
{
	int fd = listen_at(config, path, previous);
	int result = fd;

	if (fd >= 0 && config->owner[0] != '\0')
		result = set_owner(path, config->owner);
	if (result >= 0)
		return fd;
	if (fd >= 0) {
		log_err("listen %s: cannot give %s to %s: %s", config->name, path, config->owner,
			owner_error(result));
		egd_listener_close(config->address, fd);
	} else {
		log_err("listen %s: %s: %s%s", config->name, config->address, strerror(-result),
			result == -EADDRINUSE ? ": another process answers there"
			: result == -EEXIST   ? " and is no socket: remove it, or choose another"
			: result == -ENOENT   ? ": make its directory"
					      : "");
	}
	return result;
}

static bool
is_bound_at(int fd, const struct address *address)
{
	char wanted[ADDRESS_TEXT_MAX], bound[ADDRESS_TEXT_MAX];
	struct address at = {.len = sizeof(struct address) - offsetof(struct address, any)};

	if (fd < 0 || getsockname(fd, &at.any, &at.len) != 0)
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

	switch (kind_of(config->address, &rest)) {
	case KIND_UNIX:
		return is_bound_to(fd, rest) && access(rest, F_OK) == 0;
	case KIND_TCP:
	case KIND_TLS:
		return address_parse_inet(rest, &address) == NULL && is_bound_at(fd, &address);
	case KIND_VSOCK:
		return address_parse_vsock_listen(rest, &address) == NULL &&
		       is_bound_at(fd, &address);
	case KIND_SYSTEMD:
	case KIND_XEN:
	case KINDS:
		break;
	}
	return false;
}

/* Resumes `previous` when it listens at `address`, or opens a new socket. */
static int
listen_on(const struct address *address, int previous)
{
	if (is_bound_at(previous, address))
		return previous;
	if (previous >= 0)
		close(previous);
	return net_listen(address);
}

static int
open_address(const struct egd_listen_config *config, const char *error,
	     const struct address *address, int previous)
{
	int fd = error == NULL ? listen_on(address, previous) : -EINVAL;

	if (fd < 0)
		log_err("listen %s: %s: %s%s", config->name, config->address, strerror(-fd),
			net_listen_hint(-fd));
	return fd;
}

static bool
is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* A copy: the one that was given can be had again after a reload. */
static int
open_given(const struct egd_listen_config *config, int given)
{
	struct address address = {.len = sizeof(struct address) - offsetof(struct address, any)};
	const char *error = NULL;
	int fd;

	if (given < 0)
		error = "systemd gave no socket with this FileDescriptorName=";
	else if (!is_listening(given))
		error = "it is no stream socket that listens: Accept=no is needed";
	else if (getsockname(given, &address.any, &address.len) == 0 &&
		 (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) &&
		 is_open_to_all(config, &address))
		error = allow_needed;
	if (error != NULL) {
		log_err("listen %s: %s: %s", config->name, config->address, error);
		return -EINVAL;
	}
	/* Non-blocking first: both share it, and there is only one to close. */
	if (fcntl(given, F_SETFL, O_NONBLOCK) != 0 || (fd = fcntl(given, F_DUPFD_CLOEXEC, 3)) < 0) {
		int result = -errno;

		log_err("listen %s: %s: %s", config->name, config->address, strerror(-result));
		return result;
	}
	return fd;
}

int
egd_listener_open(const struct egd_listen_config *config, int given, int previous)
{
	struct address address;
	const char *rest;

	switch (kind_of(config->address, &rest)) {
	case KIND_UNIX:
		return open_unix(config, rest, previous);
	case KIND_TCP:
	case KIND_TLS:
		return open_address(config, address_parse_inet(rest, &address), &address, previous);
	case KIND_VSOCK:
		return open_address(config, address_parse_vsock_listen(rest, &address), &address,
				    previous);
	case KIND_SYSTEMD:
		return open_given(config, given);
	case KIND_XEN:
	case KINDS:
		break;
	}
	return -EINVAL;
}

void
egd_listener_close(const char *address, int fd)
{
	const char *path = egd_listener_path(address);

	close(fd);
	if (path != NULL)
		net_unix_unlink(path);
}
