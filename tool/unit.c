/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl unit: prints the drop-in with those rights that the shipped unit does not have and the
 * configuration needs. Which part of a configuration needs what is in two tables, one for each
 * program; all settings that they use add up when they are repeated.
 */
#include "tool/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/network.h"
#include "daemon/files.h"
#include "daemon/privileges.h"
#include "egd/listener.h"
#include "priv/cloned.h"
#include "tool/tool.h"

#define VALUE_MAX 512 /* more than any address, path or list of a configuration */
#define LINE_MAX_LEN (2 * VALUE_MAX)

/* All that has no meaning of its own in a unit file. */
#define VALUE_CHARS CONFIG_NAME_CHARS "/:+@, "
#define RUNTIME_DIRECTORY "/run/ekey-random"
#define FEED_OPTIONS "/etc/default/ekey-feed"
#define FEED_VARIABLE "EKEY_FEED_OPTIONS="

#define CAPABILITY(name) \
	"AmbientCapabilities=" name "\nCapabilityBoundingSet=" name "\nSystemCallFilter=capset\n"

/* One thing that may need a right; what does not apply is NULL or "". */
struct part {
	const struct config *config;
	const struct egd_listen_config *listen;
	const struct device_config *device;
	char source[SOURCE_ADDRESS_MAX]; /* one address of a source, or one word of ekey-feed's */
	const char *inet, *allow,
		*proxy; /* TCP: an address that is listened at, and for which networks */
	bool whole;     /* the rest of the configuration, and the machine */
};

struct need {
	const char *what;
	/* Whether the part needs these lines; *ret stands in them for each %s. */
	bool (*has)(const struct part *part, char ret[static VALUE_MAX]);
	const char *unit, *service; /* lines of [Unit] and [Service] */
};

/* What follows `prefix`, or NULL. */
static const char *
after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* ---- networks ---- */

static void
add_network(char ret[static VALUE_MAX], const char *network)
{
	size_t used = strlen(ret);

	snprintf(ret + used, VALUE_MAX - used, "%s%s", used > 0 ? " " : "", network);
}

/* Users, who may be among proxies, have no network. */
static void
add_networks(char ret[static VALUE_MAX], const char *list)
{
	char words[EGD_NETWORKS_TEXT_MAX], *rest = words;
	struct network network;

	snprintf(words, sizeof(words), "%s", list);
	for (const char *word; (word = strsep(&rest, " ,")) != NULL;)
		if (word[0] != '\0' && network_parse(word, &network) == NULL)
			add_network(ret, word);
}

static bool
listens_at_ip(const struct part *part, char ret[static VALUE_MAX])
{
	struct address address;

	if (part->inet == NULL || address_parse_inet(part->inet, &address) != NULL)
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
asks_ip(const struct part *part, char ret[static VALUE_MAX])
{
	const char *inet = after(part->source, "tcp:");
	struct address_host server;
	struct address address;

	if (inet == NULL)
		inet = after(part->source, "tls:");
	if (inet == NULL || address_parse_host(inet, &server) != NULL)
		return false;
	if (!address_from_ip(server.host, 0, &address))
		add_network(ret, strcmp(server.host, "localhost") == 0 ? "localhost" : "any");
	else
		add_network(ret, address_is_loopback(&address) ? "localhost" : server.host);
	return true;
}

static bool
has_ip(const struct part *part, char ret[static VALUE_MAX])
{
	return listens_at_ip(part, ret) || asks_ip(part, ret);
}

static bool
has_other_machines(const struct part *part, char ret[static VALUE_MAX])
{
	return has_ip(part, ret) && strcmp(ret, "localhost") != 0;
}

static bool
has_vsock(const struct part *part, char ret[static VALUE_MAX])
{
	(void)ret;
	return after(part->source, "vsock:") != NULL ||
	       (part->listen != NULL && after(part->listen->address, "vsock:") != NULL);
}

static bool
has_low_port(const struct part *part, char ret[static VALUE_MAX])
{
	struct address_host at;

	(void)ret;
	return part->inet != NULL && address_parse_host(part->inet, &at) == NULL &&
	       at.port < IPPORT_RESERVED;
}

/* ---- Unix sockets ---- */

/* The directory of a path, which is absolute. */
static void
directory_of(const char *path, char ret[static VALUE_MAX])
{
	snprintf(ret, VALUE_MAX, "%.*s", (int)(strrchr(path, '/') - path), path);
}

/* The directory that sockets are made in. */
static bool
has_directory(const struct part *part, char ret[static VALUE_MAX])
{
	const char *path = part->listen != NULL ? after(part->listen->address, "unix:") : NULL;

	if (part->whole && part->config != NULL)
		path = part->config->control;
	if (path == NULL)
		return false;
	directory_of(path, ret);
	return strcmp(ret, RUNTIME_DIRECTORY) != 0;
}

static bool
has_directory_below_ours(const struct part *part, char ret[static VALUE_MAX])
{
	const char *name = has_directory(part, ret) ? after(ret, RUNTIME_DIRECTORY "/") : NULL;

	if (name != NULL)
		memmove(ret, name, strlen(name) + 1);
	return name != NULL;
}

static bool
has_directory_elsewhere(const struct part *part, char ret[static VALUE_MAX])
{
	return has_directory(part, ret) && after(ret, RUNTIME_DIRECTORY "/") == NULL;
}

static bool
has_group(const struct part *part, char ret[static VALUE_MAX])
{
	const char *colon = part->listen != NULL ? strchr(part->listen->owner, ':') : NULL;

	snprintf(ret, VALUE_MAX, "%s", colon != NULL ? colon + 1 : "");
	return ret[0] != '\0';
}

static bool
has_other_owner(const struct part *part, char ret[static VALUE_MAX])
{
	if (part->listen == NULL)
		return false;
	snprintf(ret, VALUE_MAX, "%.*s", (int)strcspn(part->listen->owner, ":"),
		 part->listen->owner);
	return ret[0] != '\0' && strcmp(ret, PRIVILEGES_USER) != 0;
}

/* ---- devices ---- */

/* The shipped unit has keys' terminals. */
static bool
has_file(const struct part *part, char ret[static VALUE_MAX])
{
	const char *tty = after(part->source, "tty:");
	const char *path = tty != NULL ? tty : part->source;

	snprintf(ret, VALUE_MAX, "%s", path);
	return after(path, "/dev/") != NULL && after(path, "/dev/ttyACM") == NULL &&
	       after(path, "/dev/entropykey/") == NULL;
}

static bool
has_serial_line(const struct part *part, char ret[static VALUE_MAX])
{
	return has_file(part, ret) && after(ret, "/dev/tty") != NULL;
}

static bool
is_asked_of_xen(const struct part *part, char ret[static VALUE_MAX])
{
	(void)ret;
	return strcmp(part->source, "xen") == 0 || strcmp(part->source, "--xenstore-seed") == 0;
}

static bool
listens_at_xen(const struct part *part, char ret[static VALUE_MAX])
{
	const char *directory =
		part->listen != NULL ? egd_listener_xen_directory(part->listen->address) : NULL;

	snprintf(ret, VALUE_MAX, "%s", directory != NULL ? directory : "");
	return directory != NULL;
}

static bool
has_credit(const struct part *part, char ret[static VALUE_MAX])
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
has_mount(const struct part *part, char ret[static VALUE_MAX])
{
	(void)ret;
	return part->device != NULL && is_mounted(part->device);
}

static bool
root_mounts(const struct config *config)
{
	for (size_t i = 0; i < config->device_count; i++)
		if (is_mounted(&config->devices[i]))
			return true;
	return false;
}

/* Helpers of root become another user. */
static bool
has_helpers_of_root(const struct part *part, char ret[static VALUE_MAX])
{
	return (has_credit(part, ret) || listens_at_xen(part, ret)) && root_mounts(part->config);
}

/* Root without capabilities may not connect to a socket of the daemon's user. */
static bool
has_tls_of_root(const struct part *part, char ret[static VALUE_MAX])
{
	bool tls = (part->listen != NULL && egd_listener_is_tls(part->listen)) ||
		   after(part->source, "tls:") != NULL;

	(void)ret;
	return tls && root_mounts(part->config);
}

static bool
is_clone(const struct part *part, char ret[static VALUE_MAX])
{
	(void)ret;
	return part->whole && cloned_is_told_here();
}

/* ---- the tables ---- */

static const struct need daemon_needs[] = {
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
	/* It must be in the host's namespace of mounts, so nothing may give the service its own. */
	{"[device] by FUSE: root, and the host's mounts", has_mount, NULL,
	 "User=root\nCapabilityBoundingSet=CAP_SYS_ADMIN\nDeviceAllow=/dev/fuse rw\n"
	 "SystemCallFilter=@mount\nProtectSystem=no\nProtectHome=no\nProtectProc=default\n"
	 "ProcSubset=all\nPrivateTmp=no\nProtectControlGroups=no\nProtectKernelLogs=no\n"
	 "ProtectKernelModules=no\nProtectKernelTunables=no\n"},
	{"root's helpers, which become another user", has_helpers_of_root, NULL,
	 "CapabilityBoundingSet=CAP_SETUID CAP_SETGID\nSystemCallFilter=@setuid\n"},
	{"root's daemon asks ekey-tls, whose socket is its user's", has_tls_of_root, NULL,
	 "CapabilityBoundingSet=CAP_DAC_OVERRIDE\n"},
	{"this virtual machine: only the kernel's log tells that it was cloned", is_clone, NULL,
	 CAPABILITY("CAP_SYSLOG") "DeviceAllow=/dev/kmsg r\nProtectKernelLogs=no\n"},
	{NULL, NULL, NULL, NULL},
};

static const struct need feed_needs[] = {
	/* Root's helper becomes another user. */
	{"Xen: the channel and xenstore are root's", is_asked_of_xen, NULL,
	 "DynamicUser=no\nUser=root\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID\n"
	 "SystemCallFilter=@setuid\nDeviceAllow=/dev/xen/xenbus rw\nDeviceAllow=char-hvc rw\n"},
	{"a serial line", has_serial_line, NULL, "SupplementaryGroups=dialout\n"},
	{"a device file", has_file, NULL, "DeviceAllow=%s rw\n"},
	{NULL, NULL, NULL, NULL},
};

/* ---- the text ---- */

struct text {
	const struct need *needs, *need; /* all, and the one that is looked at */
	bool unit;                       /* the lines of [Unit], else of [Service] */
	const char *section;             /* what is to stand above the next line; NULL: nothing */
	const char *what;                /* the same */
	bool error;
	FILE *file;
	char *text;
	size_t len;
};

static bool
is_there(struct text *t, const char *line)
{
	const char *at = NULL;

	fflush(t->file);
	for (at = t->text; (at = strstr(at, line)) != NULL; at++)
		if (at != t->text && at[-1] == '\n' && at[strlen(line)] == '\n')
			return true;
	return false;
}

static void
add_line(struct text *t, const char *line)
{
	if (is_there(t, line))
		return;
	if (t->section != NULL)
		fprintf(t->file, "%s\n", t->section);
	if (t->what != NULL)
		fprintf(t->file, "# %s\n", t->what);
	t->section = t->what = NULL;
	fprintf(t->file, "%s\n", line);
}

/* Adds each line of `lines`, with `value` for %s. */
static void
add_lines(struct text *t, const char *lines, const char *value)
{
	char line[LINE_MAX_LEN];

	for (size_t used = 0; *lines != '\0'; lines++) {
		if (*lines == '\n') {
			line[used] = '\0';
			add_line(t, line);
			used = 0;
		} else if (after(lines, "%s") != NULL) {
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s", value);
			lines++;
		} else {
			line[used++] = *lines;
		}
	}
}

static void
see_part(const struct part *part, void *arg)
{
	struct text *t = arg;
	const char *lines = t->unit ? t->need->unit : t->need->service;
	char value[VALUE_MAX] = "";

	if (lines == NULL || !t->need->has(part, value))
		return;
	if (value[strspn(value, VALUE_CHARS)] == '\0') {
		add_lines(t, lines, value);
		return;
	}
	fprintf(stderr, "ekeyctl: '%s': a unit file cannot have these characters: rename it\n",
		value);
	t->error = true;
}

/* Calls `see_all` for each need; it calls see_part() for each part. NULL: see unit_text(). */
static char *
make_text(const struct need *needs, void (*see_all)(const void *subject, struct text *t),
	  const void *subject)
{
	struct text t = {.needs = needs};

	t.file = open_memstream(&t.text, &t.len);
	if (t.file == NULL)
		return NULL;
	for (int service = 0; service < 2; service++) {
		t.unit = service == 0;
		t.section = t.unit ? "[Unit]" : "[Service]";
		for (t.need = needs; t.need->what != NULL; t.need++) {
			t.what = t.need->what;
			see_all(subject, &t);
		}
	}
	if (fclose(t.file) == 0 && !t.error)
		return t.text;
	free(t.text);
	return NULL;
}

/* ---- the daemon's parts ---- */

static void
see_listen(const struct config *config, const struct egd_listen_config *listen, struct text *t)
{
	struct part part = {.config = config,
			    .listen = listen,
			    .inet = after(listen->address, "tcp:"),
			    .allow = listen->allow,
			    .proxy = listen->proxy_from};

	if (part.inet == NULL)
		part.inet = after(listen->address, "tls:");
	see_part(&part, t);
}

static void
see_source(const struct config *config, const char *addresses, struct text *t)
{
	struct part part = {.config = config};

	while (source_address_next(&addresses, part.source))
		see_part(&part, t);
}

static void
see_config(const void *subject, struct text *t)
{
	const struct config *config = subject;
	const struct part whole = {.config = config, .whole = true};
	const struct part agent = {
		.inet = after(config->agent, "tcp:"), .allow = config->agent_allow, .proxy = ""};

	see_part(&whole, t);
	see_part(&agent, t);
	for (size_t i = 0; i < config->listen_count; i++)
		see_listen(config, &config->listens[i], t);
	for (size_t i = 0; i < config->source_count; i++)
		see_source(config, config->sources[i].address, t);
	for (size_t i = 0; i < config->device_count; i++) {
		const struct part part = {.config = config, .device = &config->devices[i]};

		see_part(&part, t);
	}
}

char *
unit_text(const struct config *config)
{
	return make_text(daemon_needs, see_config, config);
}

/* ---- ekey-feed's ---- */

static void
see_words(const void *subject, struct text *t)
{
	const char *at = strstr(subject, FEED_VARIABLE);

	if (at == NULL)
		return;
	at += strlen(FEED_VARIABLE);
	for (at += strspn(at, " \"'"); *at != '\n' && *at != '\0'; at += strspn(at, " \"'")) {
		struct part part = {.whole = false};
		size_t len = strcspn(at, " \"'\n");

		snprintf(part.source, sizeof(part.source), "%.*s", (int)len, at);
		see_part(&part, t);
		at += len;
	}
}

/* ---- the command ---- */

static enum exit_code
print(char *text, const char *from, const char *unit)
{
	if (text == NULL)
		return EXIT_CANNOT_READ;
	if (text[0] == '\0')
		printf("# %s needs no drop-in of %s.\n", from, unit);
	else
		printf("# What %s needs; made by `ekeyctl unit`.\n%s", from, text);
	free(text);
	return EXIT_OK;
}

static enum exit_code
print_feed(const char *path)
{
	struct file_text file;
	int result = file_read(path, CONFIG_FILE_MAX, &file);
	enum exit_code code;

	if (result < 0) {
		fprintf(stderr, "ekeyctl: %s: %s\n", path, strerror(-result));
		return EXIT_CANNOT_READ;
	}
	code = print(make_text(feed_needs, see_words, file.text), path, "ekey-feed.service");
	file_finish(&file);
	return code;
}

enum exit_code
tool_unit(const struct tool_options *options, char **words)
{
	const char *path = options->config;
	struct config config;

	if (words[0] != NULL && strcmp(words[0], "ekey-feed") == 0)
		return print_feed(path != NULL ? path : FEED_OPTIONS);
	if (words[0] != NULL && strcmp(words[0], "ekey-randomd") != 0) {
		fprintf(stderr, "ekeyctl: unit: expected ekey-randomd or ekey-feed, not '%s'\n",
			words[0]);
		return EXIT_USAGE;
	}
	path = path != NULL ? path : CONFIG_PATH;
	if (!files_read_config(path, &config))
		return EXIT_CANNOT_READ;
	return print(unit_text(&config), path, "ekey-randomd.service");
}

/* ---- the comparison ---- */

/* The next line that is no comment, and its length; 0 at the end. */
static size_t
next_line(const char **at)
{
	while (**at == '#' || **at == '\n') {
		*at += strcspn(*at, "\n");
		*at += **at == '\n';
	}
	return strcspn(*at, "\n");
}

bool
unit_texts_equal(const char *a, const char *b)
{
	size_t len;

	while ((len = next_line(&a)) == next_line(&b) && strncmp(a, b, len) == 0) {
		if (len == 0)
			return true;
		a += len;
		b += len;
	}
	return false;
}
