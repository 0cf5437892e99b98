/* SPDX-License-Identifier: MIT */
#include "tool/unit_needs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/network.h"
#include "daemon/privileges.h"
#include "egd/listener.h"
#include "priv/cloned.h"

#define RUNTIME_DIRECTORY "/run/ekey-random"

#define CAPABILITY(name) \
	"AmbientCapabilities=" name "\nCapabilityBoundingSet=" name "\nSystemCallFilter=capset\n"

/* What follows `prefix`, or NULL. */
static const char *
after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* ---- networks ---- */

/* The rest of an address of TCP or TLS, or NULL. */
static const char *
after_inet(const char *address)
{
	const char *tcp = address != NULL ? after(address, "tcp:") : NULL;

	return tcp != NULL || address == NULL ? tcp : after(address, "tls:");
}

static void
add_network(char ret[static UNIT_VALUE_MAX], const char *network)
{
	size_t used = strlen(ret);

	snprintf(ret + used, UNIT_VALUE_MAX - used, "%s%s", used > 0 ? " " : "", network);
}

/* Users, who may be among proxies, have no network. */
static void
add_networks(char ret[static UNIT_VALUE_MAX], const char *list)
{
	char words[EGD_NETWORKS_TEXT_MAX], *rest = words;
	struct network network;

	snprintf(words, sizeof(words), "%s", list);
	for (const char *word; (word = strsep(&rest, " ,")) != NULL;)
		if (word[0] != '\0' && network_parse(word, &network) == NULL)
			add_network(ret, word);
}

static bool
listens_at_ip(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *inet = after_inet(part->at);
	struct address address;

	if (inet == NULL || address_parse_inet(inet, &address) != NULL)
		return false;
	add_networks(ret, part->allow);
	add_networks(ret, part->proxy);
	if (address_is_loopback(&address))
		add_network(ret, "localhost");
	else if (part->allow[0] == '\0')
		add_network(ret, "any");
	return true;
}

/* A name's addresses, and those of name servers, are not known here. */
static bool
asks_ip(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *inet = after_inet(part->source);
	struct address_host server;
	struct address address;

	if (inet == NULL || address_parse_host(inet, &server) != NULL)
		return false;
	if (!address_from_ip(server.host, 0, &address))
		add_network(ret, strcmp(server.host, "localhost") == 0 ? "localhost" : "any");
	else
		add_network(ret, address_is_loopback(&address) ? "localhost" : server.host);
	return true;
}

static bool
has_ip(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	return listens_at_ip(part, ret) || asks_ip(part, ret);
}

static bool
has_other_machines(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	return has_ip(part, ret) && strcmp(ret, "localhost") != 0;
}

static bool
has_vsock(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	(void)ret;
	return after(part->source, "vsock:") != NULL ||
	       (part->listen != NULL && after(part->listen->address, "vsock:") != NULL);
}

static bool
has_low_port(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *inet = after_inet(part->at);
	struct address_host host;

	(void)ret;
	return inet != NULL && address_parse_host(inet, &host) == NULL &&
	       host.port < IPPORT_RESERVED;
}

/* ---- Unix sockets ---- */

/* The directory that sockets are made in. */
static bool
has_directory(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *path = part->listen != NULL ? after(part->listen->address, "unix:") : NULL;

	if (part->whole && part->config != NULL)
		path = part->config->control;
	if (path == NULL)
		return false;
	file_directory(path, ret, UNIT_VALUE_MAX);
	return strcmp(ret, RUNTIME_DIRECTORY) != 0;
}

static bool
has_directory_below_ours(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *name = has_directory(part, ret) ? after(ret, RUNTIME_DIRECTORY "/") : NULL;

	if (name != NULL)
		memmove(ret, name, strlen(name) + 1);
	return name != NULL;
}

static bool
has_directory_elsewhere(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	return has_directory(part, ret) && after(ret, RUNTIME_DIRECTORY "/") == NULL;
}

static bool
has_group(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *colon = part->listen != NULL ? strchr(part->listen->owner, ':') : NULL;

	snprintf(ret, UNIT_VALUE_MAX, "%s", colon != NULL ? colon + 1 : "");
	return ret[0] != '\0';
}

static bool
has_other_owner(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	if (part->listen == NULL)
		return false;
	snprintf(ret, UNIT_VALUE_MAX, "%.*s", (int)strcspn(part->listen->owner, ":"),
		 part->listen->owner);
	return ret[0] != '\0' && strcmp(ret, PRIVILEGES_USER) != 0;
}

/* ---- devices ---- */

/* The shipped unit has keys' terminals. */
static bool
has_file(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *tty = after(part->source, "tty:");
	const char *path = tty != NULL ? tty : part->source;

	snprintf(ret, UNIT_VALUE_MAX, "%s", path);
	return after(path, "/dev/") != NULL && after(path, "/dev/ttyACM") == NULL &&
	       after(path, "/dev/entropykey/") == NULL;
}

static bool
has_serial_line(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	return has_file(part, ret) && after(ret, "/dev/tty") != NULL;
}

static bool
is_asked_of_xen(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	(void)ret;
	return strcmp(part->source, "xen") == 0 || strcmp(part->source, "--xenstore-seed") == 0;
}

static bool
listens_at_xen(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	const char *directory = part->listen != NULL
					? egd_listener_rest(part->listen->address, EGD_LISTEN_XEN)
					: NULL;

	snprintf(ret, UNIT_VALUE_MAX, "%s", directory != NULL ? directory : "");
	return directory != NULL;
}

static bool
has_credit(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	(void)ret;
	return part->whole && part->config != NULL && part->config->kernel_on &&
	       part->config->kernel.credit;
}

/* CUSE makes devices directly below /dev only. */
static bool
is_mounted(const struct device_config *device)
{
	const char *name = after(device->path, "/dev/");

	return device->via == DEVICE_VIA_FUSE ||
	       (device->via == DEVICE_VIA_AUTO &&
		(name == NULL || strchr(name, '/') != NULL || access("/dev/cuse", F_OK) != 0));
}

static bool
has_mount(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	(void)ret;
	return part->device != NULL && is_mounted(part->device);
}

static bool
is_clone(const struct unit_part *part, char ret[static UNIT_VALUE_MAX])
{
	(void)ret;
	return part->whole && cloned_is_told_here();
}

/* ---- the tables ---- */

const struct unit_need unit_daemon_needs[] = {
	{"[kernel] with credit", has_credit, NULL, CAPABILITY("CAP_SYS_ADMIN")},
	{"other machines", has_other_machines,
	 "Wants=network-online.target\nAfter=network-online.target\n", NULL},
	/* A name can have any address, and so can name servers. */
	{"TCP and TLS; to narrow `any`, another drop-in can say IPAddressAllow= and then networks",
	 has_ip, NULL, "RestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=%s\n"},
	{"vsock", has_vsock, NULL, "RestrictAddressFamilies=AF_VSOCK\n"},
	{"a port below 1024", has_low_port, NULL, CAPABILITY("CAP_NET_BIND_SERVICE")},
	{"a group that a socket is given to", has_group, NULL,
	 "SupplementaryGroups=%s\nSystemCallFilter=@chown\n"},
	{"a user that a socket is given to", has_other_owner, NULL,
	 CAPABILITY("CAP_CHOWN") "SystemCallFilter=@chown\n"},
	/* systemd would remove it at the end; those that have it mounted would not see the next. */
	{"a directory of its own, which containers can mount", has_directory_below_ours, NULL,
	 "RuntimeDirectory=ekey-random/%s\nRuntimeDirectoryPreserve=yes\n"},
	{"a directory that the user ekey-random must be able to write to", has_directory_elsewhere,
	 NULL, "ReadWritePaths=-%s\n"},
	/* Debian's xen makes the directory root's; the daemon looks for sockets in it. */
	{"[listen] at xen:", listens_at_xen,
	 "After=xen.service xencommons.service xenconsoled.service\n",
	 "ExecStartPre=+chgrp ekey-random %s\nExecStartPre=+chmod g+rx %s\n" CAPABILITY(
		 "CAP_DAC_OVERRIDE")},
	{"[source] at xen, whose channel is root's", is_asked_of_xen, NULL,
	 "User=root\nDeviceAllow=/dev/xen/xenbus rw\nDeviceAllow=char-hvc rw\n"},
	{"a serial line", has_serial_line, NULL, "SupplementaryGroups=dialout\n"},
	{"a device file", has_file, NULL, "DeviceAllow=%s rw\n"},
	/* What the service mounted itself nobody else would see. */
	{"[device] by FUSE, which ekey-mount mounts", has_mount, "Wants=ekey-mount.socket\n",
	 "Environment=EKEY_MOUNT=/run/ekey-mount.socket\n"},
	{"this virtual machine: only the kernel's log tells that it was cloned", is_clone, NULL,
	 CAPABILITY("CAP_SYSLOG") "DeviceAllow=/dev/kmsg r\nProtectKernelLogs=no\n"},
	{NULL, NULL, NULL, NULL},
};

const struct unit_need unit_feed_needs[] = {
	{"Xen: the channel and xenstore are root's", is_asked_of_xen, NULL,
	 "DynamicUser=no\nUser=root\nDeviceAllow=/dev/xen/xenbus rw\nDeviceAllow=char-hvc rw\n"},
	{"a serial line", has_serial_line, NULL, "SupplementaryGroups=dialout\n"},
	{"a device file", has_file, NULL, "DeviceAllow=%s rw\n"},
	{NULL, NULL, NULL, NULL},
};
