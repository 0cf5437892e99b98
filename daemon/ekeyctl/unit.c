/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl unit: prints the drop-in with those rights that the shipped unit does not have and the
 * configuration needs.
 */
#include "daemon/ekeyctl/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ekeyctl/tool.h"
#include "daemon/files.h"
#include "daemon/privileges.h"
#include "egd/server/listener.h"
#include "lib/address.h"
#include "lib/cidr.h"
#include "lib/file.h"
#include "lib/priv/vm_clone.h"

#define RIGHT_MAX 512 /* more than any address, path or list of a configuration */
#define LINE_MAX_LEN (2 * RIGHT_MAX)

/* Characters without a meaning of their own in a unit file. */
#define RIGHT_CHARS CONFIG_NAME_CHARS "/:+@, "

#define RUNTIME_DIRECTORY "/run/ekey-random"
#define FEED_OPTIONS "/etc/default/ekey-feed"
#define FEED_VARIABLE "EKEY_FEED_OPTIONS="

#define CAPABILITY(name) \
	"AmbientCapabilities=" name "\nCapabilityBoundingSet=" name "\nSystemCallFilter=capset\n"

/* A value that may need rights: of a key, or an option of ekey-feed. */
struct value {
	const struct config_key *key; /* NULL: of no configuration */
	const void *section;          /* the struct that has it */
	const char *text;             /* "": it is no text; of a source one address */
};

/* A right that values of these keys, SECTION.KEY, may need; NULL: the machine itself. */
struct need {
	const char *keys;
	const char *what;
	/* Whether the value needs these lines; *ret stands in them for each %s. */
	bool (*has)(const struct value *v, char ret[static RIGHT_MAX]);
	const char *unit, *service; /* lines of [Unit] and [Service] */
};

/* Returns the text behind `prefix`, or NULL. */
static const char *
after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* ---- networks ---- */

/* Returns the rest of an address of TCP or TLS, or NULL. */
static const char *
after_inet(const char *address)
{
	const char *tcp = after(address, "tcp:");

	return tcp != NULL ? tcp : after(address, "tls:");
}

static bool
is_of(const struct value *v, const char *section)
{
	return v->key != NULL && strcmp(v->key->section, section) == 0;
}

static void
add_network(char ret[static RIGHT_MAX], const char *network)
{
	size_t used = strlen(ret);

	snprintf(ret + used, RIGHT_MAX - used, "%s%s", used > 0 ? " " : "", network);
}

/* Users, which can stand among proxies, have no network. */
static void
add_networks(char ret[static RIGHT_MAX], const char *list)
{
	char words[EGD_ACL_TEXT_MAX], *rest = words;
	struct cidr network;

	snprintf(words, sizeof(words), "%s", list);
	for (const char *word; (word = strsep(&rest, " ,")) != NULL;)
		if (word[0] != '\0' && cidr_parse(word, &network) == NULL)
			add_network(ret, word);
}

static bool
listeners_at_ip(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *inet = after_inet(v->text), *allow, *proxies = "";
	struct address address;

	if (inet == NULL || address_parse_inet(inet, &address) != NULL)
		return false;
	if (is_of(v, "agent")) {
		allow = ((const struct config *)v->section)->agent_allow;
	} else {
		allow = ((const struct egd_listen_config *)v->section)->allow;
		proxies = ((const struct egd_listen_config *)v->section)->proxy_from;
	}
	add_networks(ret, allow);
	add_networks(ret, proxies);
	if (address_is_loopback(&address))
		add_network(ret, "localhost");
	else if (allow[0] == '\0')
		add_network(ret, "any");
	return true;
}

/* The addresses of a name, and those of name servers, are not known here. */
static bool
asks_ip(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *inet = after_inet(v->text);
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
has_ip(const struct value *v, char ret[static RIGHT_MAX])
{
	return is_of(v, "source") ? asks_ip(v, ret) : listeners_at_ip(v, ret);
}

static bool
has_other_machines(const struct value *v, char ret[static RIGHT_MAX])
{
	return has_ip(v, ret) && strcmp(ret, "localhost") != 0;
}

static bool
has_vsock(const struct value *v, char ret[static RIGHT_MAX])
{
	(void)ret;
	return after(v->text, "vsock:") != NULL;
}

static bool
has_low_port(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *inet = after_inet(v->text);
	struct address_host host;

	(void)ret;
	return inet != NULL && address_parse_host(inet, &host) == NULL &&
	       host.port < IPPORT_RESERVED;
}

/* ---- Unix sockets ---- */

/* Finds the directory that a socket is made in, of an address or a path. */
static bool
has_directory(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *path = is_of(v, "listen") ? after(v->text, "unix:") : v->text;

	if (path == NULL)
		return false;
	file_directory(path, ret, RIGHT_MAX);
	return strcmp(ret, RUNTIME_DIRECTORY) != 0;
}

static bool
has_directory_below_ours(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *name = has_directory(v, ret) ? after(ret, RUNTIME_DIRECTORY "/") : NULL;

	if (name != NULL)
		memmove(ret, name, strlen(name) + 1);
	return name != NULL;
}

static bool
has_directory_elsewhere(const struct value *v, char ret[static RIGHT_MAX])
{
	return has_directory(v, ret) && after(ret, RUNTIME_DIRECTORY "/") == NULL;
}

static bool
has_group(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *colon = strchr(v->text, ':');

	snprintf(ret, RIGHT_MAX, "%s", colon != NULL ? colon + 1 : "");
	return ret[0] != '\0';
}

static bool
has_other_owner(const struct value *v, char ret[static RIGHT_MAX])
{
	snprintf(ret, RIGHT_MAX, "%.*s", (int)strcspn(v->text, ":"), v->text);
	return ret[0] != '\0' && strcmp(ret, PRIVILEGES_USER) != 0;
}

/* ---- devices ---- */

/* The shipped unit has the terminals of keys. */
static bool
has_file(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *tty = after(v->text, "tty:");
	const char *path = tty != NULL ? tty : v->text;

	snprintf(ret, RIGHT_MAX, "%s", path);
	return after(path, "/dev/") != NULL && after(path, "/dev/ttyACM") == NULL &&
	       after(path, "/dev/entropykey/") == NULL;
}

static bool
has_serial_line(const struct value *v, char ret[static RIGHT_MAX])
{
	return has_file(v, ret) && after(ret, "/dev/tty") != NULL;
}

/* Devices that only root can open, unless an administrator's rule says otherwise. */
static bool
is_root_device(const struct value *v, char ret[static RIGHT_MAX])
{
	return has_file(v, ret) &&
	       (after(ret, "/dev/hwrng") != NULL || after(ret, "/dev/chaoskey") != NULL);
}

static bool
is_asked_of_xen(const struct value *v, char ret[static RIGHT_MAX])
{
	(void)ret;
	return strcmp(v->text, "xen") == 0 || strcmp(v->text, "--xenstore-seed") == 0;
}

static bool
listeners_at_xen(const struct value *v, char ret[static RIGHT_MAX])
{
	const char *directory = egd_listener_rest(v->text, EGD_LISTEN_XEN);

	snprintf(ret, RIGHT_MAX, "%s", directory != NULL ? directory : "");
	return directory != NULL;
}

static bool
has_credit(const struct value *v, char ret[static RIGHT_MAX])
{
	(void)ret;
	return ((const struct config *)v->section)->kernel.credit;
}

static bool
has_mount(const struct value *v, char ret[static RIGHT_MAX])
{
	(void)ret;
	return config_device_is_mount(v->section);
}

static bool
is_clone(const struct value *v, char ret[static RIGHT_MAX])
{
	(void)v, (void)ret;
	return vm_clone_is_told_here();
}

/* ---- the tables ---- */

/* All settings add up when they are repeated. */
static const struct need daemon_needs[] = {
	{"kernel.credit", "[kernel] with credit", has_credit, NULL, CAPABILITY("CAP_SYS_ADMIN")},
	{"agent.address listen.address source.address", "other machines", has_other_machines,
	 "Wants=network-online.target\nAfter=network-online.target\n", NULL},
	/* A name can have any address, and so can name servers. */
	{"agent.address listen.address source.address",
	 "TCP and TLS; to narrow `any`, another drop-in can say IPAddressAllow= and then networks",
	 has_ip, NULL, "RestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=%s\n"},
	{"listen.address source.address", "vsock", has_vsock, NULL,
	 "RestrictAddressFamilies=AF_VSOCK\n"},
	{"agent.address listen.address", "a port below 1024", has_low_port, NULL,
	 CAPABILITY("CAP_NET_BIND_SERVICE")},
	{"listen.owner", "a group that a socket is given to", has_group, NULL,
	 "SupplementaryGroups=%s\nSystemCallFilter=@chown\n"},
	{"listen.owner", "a user that a socket is given to", has_other_owner, NULL,
	 CAPABILITY("CAP_CHOWN") "SystemCallFilter=@chown\n"},
	/* systemd would remove it at the end; those that have it mounted would not see the next. */
	{"listen.address daemon.control", "a directory of its own, which containers can mount",
	 has_directory_below_ours, NULL,
	 "RuntimeDirectory=ekey-random/%s\nRuntimeDirectoryPreserve=yes\n"},
	{"listen.address daemon.control",
	 "a directory that the user ekey-random must be able to write to", has_directory_elsewhere,
	 NULL, "ReadWritePaths=-%s\n"},
	/* Debian's xen makes the directory root's; the daemon looks for sockets in it. */
	{"listen.address", "[listen] at xen:", listeners_at_xen,
	 "After=xen.service xencommons.service xenconsoled.service\n",
	 "ExecStartPre=+chgrp ekey-random %s\nExecStartPre=+chmod g+rx %s\n" CAPABILITY(
		 "CAP_DAC_OVERRIDE")},
	{"source.address", "[source] at xen, whose channel is root's", is_asked_of_xen, NULL,
	 "User=root\nDeviceAllow=/dev/xen/xenbus rw\nDeviceAllow=char-hvc rw\n"},
	{"source.address", "a serial line", has_serial_line, NULL, "SupplementaryGroups=dialout\n"},
	{"source.address", "a device file", has_file, NULL, "DeviceAllow=%s rw\n"},
	{"source.address", "a device that only root can open", is_root_device, NULL,
	 "ExecStartPre=+chgrp ekey-random %s\nExecStartPre=+chmod g+r %s\n"},
	/* A mount of the service itself would be seen in its own namespace only. */
	{"device.path", "[device] by FUSE, which ekey-mount mounts", has_mount,
	 "Wants=ekey-mount.socket\n", "Environment=EKEY_MOUNT=/run/ekey-mount.socket\n"},
	{NULL, "this virtual machine: only the kernel's log tells that it was cloned", is_clone,
	 NULL, CAPABILITY("CAP_SYSLOG") "DeviceAllow=/dev/kmsg r\nProtectKernelLogs=no\n"},
	{.what = NULL},
};

static const struct need feed_needs[] = {
	{"source.address", "Xen: the channel and xenstore are root's", is_asked_of_xen, NULL,
	 "DynamicUser=no\nUser=root\nDeviceAllow=/dev/xen/xenbus rw\nDeviceAllow=char-hvc rw\n"},
	{"source.address", "a serial line", has_serial_line, NULL, "SupplementaryGroups=dialout\n"},
	{"source.address", "a device file", has_file, NULL, "DeviceAllow=%s rw\n"},
	{.what = NULL},
};

/* ---- the text ---- */

struct text {
	const struct need *need; /* that is looked at */
	bool unit;               /* the lines of [Unit], else of [Service] */
	const char *section;     /* heading of the next line; NULL: none */
	const char *what;        /* comment above it; NULL: none */
	bool error;
	FILE *file;
	char *text;
	size_t len;
};

/* Whether this line was added before. */
static bool
is_there(struct text *t, const char *line)
{
	const char *at;

	fflush(t->file);
	for (at = t->text; (at = strstr(at, line)) != NULL; at++)
		if (at != t->text && at[-1] == '\n' && at[strlen(line)] == '\n')
			return true;
	return false;
}

/* Adds it, once, below the headings that are still to be written. */
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
		} else if (strncmp(lines, "%s", 2) == 0) {
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s", value);
			lines++;
		} else {
			line[used++] = *lines;
		}
	}
}

static void
see_value(const struct value *v, struct text *t)
{
	const char *lines = t->unit ? t->need->unit : t->need->service;
	char value[RIGHT_MAX] = "";

	if (lines == NULL || !t->need->has(v, value))
		return;
	if (value[strspn(value, RIGHT_CHARS)] == '\0') {
		add_lines(t, lines, value);
		return;
	}
	fprintf(stderr, "ekeyctl: '%s': a unit file cannot have these characters: rename it\n",
		value);
	t->error = true;
}

/* ---- the values ---- */

/* Whether the list has the key as "SECTION.KEY". */
static bool
is_named(const char *list, const struct config_key *key)
{
	char name[64];
	size_t len = (size_t)snprintf(name, sizeof(name), "%s.%s", key->section, key->name);

	for (const char *at = list; at != NULL; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, name, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* Several addresses of a source are several values. */
static void
see_key(const struct config_key *key, const void *section, struct text *t)
{
	const char *text = key->type == CONFIG_TEXT ? (const char *)section + key->offset : "";
	struct value v = {key, section, text};
	char address[SOURCE_ADDRESS_MAX];

	if (!is_of(&v, "source")) {
		see_value(&v, t);
		return;
	}
	while (source_address_next(&text, address)) {
		v.text = address;
		see_value(&v, t);
	}
}

static void
see_config(const void *subject, struct text *t)
{
	static const struct value machine = {NULL, NULL, ""};
	const struct config *config = subject;

	if (t->need->keys == NULL)
		see_value(&machine, t);
	for (const struct config_key *key = config_keys; key->section != NULL; key++)
		for (size_t i = 0;
		     is_named(t->need->keys, key) && i < config_count(config, key->section); i++)
			see_key(key, config_at(config, key->section, i), t);
}

/* Reads the options of ekey-feed. */
static void
see_words(const void *subject, struct text *t)
{
	const char *at = strstr(subject, FEED_VARIABLE);

	if (at == NULL)
		return;
	at += strlen(FEED_VARIABLE);
	for (at += strspn(at, " \"'"); *at != '\n' && *at != '\0'; at += strspn(at, " \"'")) {
		char word[SOURCE_ADDRESS_MAX];
		const struct value v = {NULL, NULL, word};
		size_t len = strcspn(at, " \"'\n");

		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		see_value(&v, t);
		at += len;
	}
}

/* Makes the text, of the values that `see_all` finds for each need. NULL: see unit_text(). */
static char *
make_text(const struct need *needs, void (*see_all)(const void *subject, struct text *t),
	  const void *subject)
{
	struct text t = {.need = needs};

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

char *
unit_text(const struct config *config)
{
	return make_text(daemon_needs, see_config, config);
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

/* Finds the next line that is no comment; returns its length, 0 at the end. */
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
