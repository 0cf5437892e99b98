/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl import-ekeyd: prints the configuration of ekeyd and ekeyd-egd-linux as one of ours, with
 * a comment for each of their lines. Changes no file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ekey/keyring.h"
#include "backend/source.h"
#include "daemon/config.h"
#include "daemon/ctl/protocol.h"
#include "daemon/ekeyctl/ekeyd_conf.h"
#include "daemon/ekeyctl/tool.h"
#include "egd/server/listener.h"
#include "lib/address.h"
#include "lib/file.h"
#include "lib/num.h"

#define FILE_MAX 65536
#define HOST_PORT_MAX (2 * EKEYD_ARG_MAX + 4)
#define KERNEL_CREDIT_DEFAULT 4 /* of SetOutputToKernel() without a number */

/* Characters that systemd leaves alone in a quoted value of an EnvironmentFile=. */
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:%_-"

/* In the order in which they are read; each may be missing. */
static char *usual[] = {(char[]){"/etc/entropykey/ekeyd.conf"},
			(char[]){"/etc/default/ekeyd"},
			(char[]){"/etc/default/ekeyd-egd-linux"},
			(char[]){"/etc/sysconfig/egd-linux"},   /* Fedora, CentOS */
			(char[]){"/etc/conf.d/ekey-egd-linux"}, /* Gentoo */
			NULL};

struct import {
	unsigned listens, keys;
	bool usb, kernel;
	bool daemon;     /* a configuration of ekeyd was read */
	bool client;     /* a configuration of its EGD client was read */
	uint64_t credit; /* of SetOutputToKernel, bits per byte */
	char start[EKEYD_ARG_MAX], host[EKEYD_ARG_MAX], port[EKEYD_ARG_MAX];
	char shannons[EKEYD_ARG_MAX], ignored[EKEYD_ARG_MAX];
	char text[CONFIG_FILE_MAX]; /* the sections written so far */
	size_t len;
	size_t section_len; /* of the section behind them that is being made */
};

/* ---- lines ---- */

/* Writes one line that the daemon's parser accepts: not too long, without control characters. */
static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char line[CONFIG_LINE_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	puts(line);
}

static void
comment(const char *text)
{
	say(";   %s", text);
}

/* ---- sections ---- */

/* Adds to the section that is being made; text that does not fit makes it invalid. */
static void __attribute__((format(printf, 2, 3))) add(struct import *im, const char *format, ...)
{
	size_t used = im->len + im->section_len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(im->text + used, sizeof(im->text) - used, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(im->text) - used)
		im->section_len += (size_t)n;
}

static void
print_section(const struct import *im, const char *before)
{
	const char *at = im->text + im->len, *end = at + im->section_len;

	for (const char *newline; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		say("%s%.*s", before, (int)(newline - at), at);
	}
}

/* Returns what this machine lacks for one of the listeners, or NULL. */
static const char *
missing(const struct config *config)
{
	const char *error = NULL;

	for (size_t i = 0; i < config->listen_count && error == NULL; i++)
		error = egd_listener_missing(&config->listens[i]);
	return error;
}

/* Writes the section that was made, as a comment when the daemon would refuse it. */
static void
finish_section(struct import *im)
{
	const char *problem = NULL;
	struct config_errors errors;
	struct config config;

	if (!config_parse(im->text, im->len + im->section_len, &config, &errors))
		problem = errors.at[0].text;
	else
		problem = missing(&config);
	if (problem != NULL)
		say(";   off: %s", problem);
	print_section(im, problem != NULL ? "; " : "");
	im->len += problem != NULL ? 0 : im->section_len;
	im->section_len = 0;
}

static const char *
arg(const struct ekeyd_line *line, size_t i)
{
	return i < line->count ? line->args[i] : "";
}

/* ---- ekeyd.conf ---- */

/* A call of ekeyd.conf, or a variable of a shell's file. */
struct known {
	const char *name;
	size_t args_min;
	const char *comment; /* NULL: none, or by `import` */
	/* NULL, or writes what the line becomes. */
	void (*import)(struct import *im, const struct ekeyd_line *line);
	size_t kept; /* 0, or where in struct import the value is kept */
};

static void
import_keyring(struct import *im, const struct ekeyd_line *line)
{
	(void)im;
	say(";       install -m 0640 -g ekey-random %s " TOOL_KEYRING_PATH, arg(line, 0));
}

/* Our credit belongs to sources, which may stand before SetOutputToKernel(). */
static void
find_credit(struct import *im, const struct ekeyd_line *line)
{
	if (strcmp(line->name, "SetOutputToKernel") != 0)
		return;
	if (arg(line, 0)[0] == '\0')
		im->credit = KERNEL_CREDIT_DEFAULT;
	else
		(void)num_parse(arg(line, 0), SOURCE_CREDIT_MAX, &im->credit);
}

static void
import_kernel(struct import *im, const struct ekeyd_line *line)
{
	uint64_t credit;

	comment("`ekeyctl unit` prints what the service needs for it");
	if (arg(line, 0)[0] != '\0' && !num_parse(arg(line, 0), SOURCE_CREDIT_MAX, &credit))
		comment("each byte is credited with 7 bits: expected a number from 0 to 8 here");
	if (!im->kernel) {
		add(im, "[kernel]\nbytes = 64\ninterval = 60s\ncredit = yes\n");
		finish_section(im);
	}
	im->kernel = true;
}

static void
import_file(struct import *im, const struct ekeyd_line *line)
{
	(void)im;
	say(";       head -c 1000000 /dev/ekey-random >%s", arg(line, 0));
}

/* Returns our form of an address that LuaSocket accepts. */
static const char *
listen_ip(const char *ip)
{
	if (ip[0] == '\0' || strcmp(ip, "localhost") == 0)
		return "127.0.0.1";
	return strcmp(ip, "*") == 0 ? "0.0.0.0" : ip;
}

/* Writes "HOST:PORT", an IPv6 address in brackets. */
static const char *
host_and_port(const char *host, const char *port, char ret[static HOST_PORT_MAX])
{
	bool brackets = strchr(host, ':') != NULL;

	snprintf(ret, HOST_PORT_MAX, "%s%s%s:%s", brackets ? "[" : "", host, brackets ? "]" : "",
		 port);
	return ret;
}

static void
import_egd_tcp(struct import *im, const struct ekeyd_line *line)
{
	const char *ip = listen_ip(arg(line, 1));
	char at[HOST_PORT_MAX];
	struct address address;

	add(im, "[listen egd-%u]\naddress = tcp:%s\nclass = direct\n", ++im->listens,
	    host_and_port(ip, arg(line, 0), at));
	finish_section(im);
	if (!address_from_ip(ip, 0, &address) || address_is_loopback(&address))
		return;
	say("; allow = NETWORK");
	comment("tls: is better: with it the bytes cannot be read on their way");
}

/* Adds the bits that have a meaning for a socket: ekeyd accepts others too. */
static void
add_mode(struct import *im, const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text == '\0' || *end != '\0')
		add(im, "mode = %s\n", *text == '\0' ? "0600" : text);
	else
		add(im, "mode = %04lo\n", mode & 0666);
}

static void
import_egd_unix(struct import *im, const struct ekeyd_line *line)
{
	const char *user = arg(line, 2), *group = arg(line, 3);

	add(im, "[listen egd-%u]\naddress = unix:%s\nclass = direct\n", ++im->listens,
	    arg(line, 0));
	add_mode(im, arg(line, 1));
	if (user[0] != '\0' || group[0] != '\0')
		add(im, "owner = %s%s%s\n", user, group[0] != '\0' ? ":" : "", group);
	finish_section(im);
}

static void
write_source(struct import *im, const char *name, const char *kind, const char *address)
{
	add(im, "[source %s]\ntype = ekey\naddress = %s%s\n", name, kind, address);
	if (im->credit != SOURCE_CREDIT_DEFAULT)
		add(im, "credit = %u\n", (unsigned)im->credit);
	finish_section(im);
}

static void
import_usb(struct import *im, const struct ekeyd_line *line)
{
	(void)line;
	if (im->usb) {
		comment("left out: address = usb, above, covers this key: one source for each key");
		return;
	}
	comment("every Entropy Key that is plugged in is found without its path");
	write_source(im, "keys", "", "usb");
	im->usb = true;
}

/* Whether the kernel, udev or ekey-ulusbd made this path for a key on USB. */
static bool
is_on_usb(const char *path)
{
	static const char *const places[] = {"/dev/ttyACM", "/dev/entropykey/",
					     "/dev/serial/by-id/", "/var/run/entropykeys/",
					     "/run/entropykeys/"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(path, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

/* A key on USB with its serial number is a source of its own: "usb" leaves that key out. */
static void
import_key(struct import *im, const struct ekeyd_line *line)
{
	const char *path = arg(line, 0), *serial = arg(line, 1);
	uint8_t parsed[KEYED_SERIAL_LEN];
	char name[sizeof("key-4294967295")];
	bool known = keyring_serial_parse(serial, parsed), on_usb = is_on_usb(path);

	if (serial[0] != '\0' && !known)
		comment("serial number left out: " KEYRING_SERIAL_HINT);
	else if (known && !on_usb)
		comment("serial number left out: the key sends it");
	if (on_usb && !known) {
		import_usb(im, line);
		return;
	}
	snprintf(name, sizeof(name), "key-%u", ++im->keys);
	if (on_usb)
		write_source(im, name, "usb:", serial);
	else
		write_source(im, name, strncmp(path, "/dev/", 5) == 0 ? "" : "unix:", path);
}

#define COMMAND "no counterpart: a command to a running ekeyd, not a setting"

static const struct known calls[] = {
	{"TCPControlSocket", 1, "no counterpart: use ekeyctl on this machine, which has no TCP",
	 NULL, 0},
	{"UnixControlSocket", 1, "the control socket is " CTL_SOCKET_PATH ": see [daemon] control",
	 NULL, 0},
	{"Keyring", 1, "copy it, since removing ekeyd deletes it:", import_keyring, 0},
	{"Daemonise", 1, "no counterpart: the daemon stays in the foreground, under systemd", NULL,
	 0},
	{"SetOutputToKernel", 0, "64 bytes a minute, and more when the kernel asks for them;",
	 import_kernel, 0},
	{"SetOutputToFile", 1,
	 "no counterpart: read the device when bytes are needed:", import_file, 0},
	{"EGDTCPSocket", 1, "`ekeyctl unit` prints what the service needs for it", import_egd_tcp,
	 0},
	{"EGDUnixSocket", 1,
	 "`ekeyctl unit` prints what the service needs for other directories and owners",
	 import_egd_unix, 0},
	{"AddEntropyKey", 1, NULL, import_key, 0},
	{"AddEntropyKeys", 1, NULL, import_usb, 0},
	{"RemoveEntropyKey", 0, COMMAND, NULL, 0},
	{"ListEntropyKeys", 0, COMMAND, NULL, 0},
	{"StatEntropyKey", 0, COMMAND, NULL, 0},
	{"Shutdown", 0, COMMAND, NULL, 0},
	{"Bye", 0, COMMAND, NULL, 0},
	{"Print", 0, COMMAND, NULL, 0},
	{"MLPrint", 0, COMMAND, NULL, 0},
	{"KVPrint", 0, COMMAND, NULL, 0},
	{NULL, 0, NULL, NULL, 0},
};

/* ---- the shell's files ---- */

static void
import_start(struct import *im, const struct ekeyd_line *line)
{
	(void)im;
	say(";   a key that is plugged in starts it; systemctl %s ekey-randomd",
	    strcmp(arg(line, 0), "YES") == 0 ? "enable" : "mask");
}

#define KEPT(name) offsetof(struct import, name)
#define AT_END "see the end"
#define RETRY "no counterpart: ekey-feed retries after 1, 2, 4... seconds, up to --interval"

/* On Fedora with DAEMON_ before the name. */
static const struct known settings[] = {
	{"START_EKEYD", 1, NULL, import_start, 0},
	{"START_EKEYD_EGD_LINUX", 1, AT_END, NULL, KEPT(start)},
	{"HOST", 1, AT_END, NULL, KEPT(host)},
	{"PORT", 1, AT_END, NULL, KEPT(port)},
	{"SHANNONS", 1, AT_END, NULL, KEPT(shannons)},
	{"WATERMARK", 1, "no counterpart: a limit of the kernel without effect since Linux 5.18",
	 NULL, KEPT(ignored)},
	{"BLOCKS", 1, "no counterpart: 64 bytes a minute reseed the kernel; --bytes changes that",
	 NULL, KEPT(ignored)},
	{"RETRYTIME", 1, RETRY, NULL, KEPT(ignored)},
	{"RECONNECTINTERVAL", 1, RETRY, NULL, KEPT(ignored)},
	{NULL, 0, NULL, NULL, 0},
};

static void
import_known(struct import *im, const struct known *known, const char *name,
	     const struct ekeyd_line *line)
{
	while (known->name != NULL && strcmp(name, known->name) != 0)
		known++;
	if (known->name == NULL)
		comment("unknown, left out");
	else if (line->count < known->args_min)
		comment("left out: an argument is missing");
	else if (known->comment != NULL)
		comment(known->comment);
	if (known->name == NULL || line->count < known->args_min)
		return;
	if (known->import != NULL)
		known->import(im, line);
	if (known->kept == 0)
		return;
	memcpy((char *)im + known->kept, line->args[0], EKEYD_ARG_MAX);
	im->client = true;
}

/* Returns NULL, or the error that ekey-feed or systemd would have. */
static const char *
client_error(const struct import *im, const char *address)
{
	struct address_host parsed;
	uint64_t credit;

	if (address[strspn(address, HOST_CHARS "[]")] != '\0')
		return "HOST and PORT must be an address";
	if (im->shannons[0] != '\0' && !num_parse(im->shannons, SOURCE_CREDIT_MAX, &credit))
		return "SHANNONS must be a number from 0 to 8";
	return address_parse_host(address, &parsed);
}

/* Writes the options of ekey-feed in place of ekeyd-egd-linux. */
static void
write_client(const struct import *im)
{
	const char *host = im->host[0] != '\0' ? im->host : "127.0.0.1";
	char at[HOST_PORT_MAX];
	struct address ip;
	const char *error;
	bool own = strcmp(host, "localhost") == 0 ||
		   (address_from_ip(host, 0, &ip) && address_is_loopback(&ip));

	error = client_error(im, host_and_port(host, im->port[0] != '\0' ? im->port : "8888", at));
	puts("");
	say("; ekeyd-egd-linux%s has no effect on Linux 5.18 and later.",
	    im->start[0] == '\0'            ? ""
	    : strcmp(im->start, "YES") == 0 ? ", which was started,"
					    : ", which was not started,");
	if (error != NULL) {
		say(";   not understood, so that there is no ekey-feed: %s", error);
		return;
	}
	if (own) {
		comment("The server is this machine: if it is our daemon, use [kernel] instead.");
	} else {
		comment("Bytes that others on the network can read get no credit: add --trusted");
		comment("only where the link is private, or use a server with tls:.");
	}
	comment("In /etc/default/ekey-feed, for ekey-feed.service:");
	say("; EKEY_FEED_OPTIONS=\"--from tcp:%s%s%s%s\"", at, own ? " --trusted" : "",
	    im->shannons[0] != '\0' ? " --credit " : "", im->shannons);
}

/* ---- files ---- */

/* "ekeyd.conf", and copies such as "ekeyd.conf.dpkg-old". */
static bool
is_lua(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strstr(slash != NULL ? slash : path, ".conf") != NULL;
}

static void
show(const char *path, const struct ekeyd_line *line)
{
	char args[EKEYD_ARGS_MAX * (EKEYD_ARG_MAX + 2)] = "";
	size_t len = 0;

	for (size_t i = 0; i < line->count; i++)
		len += (size_t)snprintf(args + len, sizeof(args) - len, "%s%s", i > 0 ? ", " : " ",
					line->args[i]);
	puts("");
	say("; %s, line %u: %s%s", path, line->number, line->name, args);
}

static void
show_strange(const char *path, const struct ekeyd_line *line)
{
	puts("");
	if (line->last > line->number)
		say("; %s, lines %u to %u: not understood, left out: check them", path,
		    line->number, line->last);
	else
		say("; %s, line %u: not understood, left out: check it", path, line->number);
}

/* Whether our configuration can have these values: " ;" begins a comment, outer blanks are dropped.
 */
static bool
is_plain(const struct ekeyd_line *line)
{
	for (size_t i = 0; i < line->count; i++) {
		const char *text = line->args[i];
		size_t len = strlen(text);

		if (strstr(text, " ;") != NULL ||
		    (len > 0 && (text[0] == ' ' || text[len - 1] == ' ')))
			return false;
	}
	return true;
}

static void
import_line(struct import *im, const char *path, const struct ekeyd_line *line)
{
	bool prefixed = strncmp(line->name, "DAEMON_", 7) == 0;

	show(path, line);
	if (!is_plain(line))
		comment("left out: a blank stands where our configuration cannot have one");
	else if (is_lua(path))
		import_known(im, calls, line->name, line);
	else
		import_known(im, settings, line->name + (prefixed ? 7 : 0), line);
}

static void
import_text(struct import *im, const char *path, const char *text, size_t len, bool write)
{
	struct ekeyd_reader reader;
	struct ekeyd_line line;
	enum ekeyd_found found;

	ekeyd_reader_init(&reader, text, len);
	while ((found = is_lua(path) ? ekeyd_next_call(&reader, &line)
				     : ekeyd_next_assignment(&reader, &line)) != EKEYD_END) {
		if (write && found == EKEYD_STRANGE)
			show_strange(path, &line);
		else if (write)
			import_line(im, path, &line);
		else if (found == EKEYD_LINE)
			find_credit(im, &line);
	}
	im->daemon |= is_lua(path);
}

/* 0 or -errno. */
static int
import_path(struct import *im, const char *path, bool write)
{
	struct file_text file;
	int result = file_read(path, FILE_MAX, &file);

	if (result < 0)
		return result;
	import_text(im, path, file.text, file.len, write);
	file_finish(&file);
	return 0;
}

/* Reads all files; a second time to write, because a later line may concern earlier ones. */
static enum exit_code
import_all(struct import *im, char **paths, bool named, bool write)
{
	unsigned read = 0;

	for (char **path = paths; *path != NULL; path++) {
		int result = import_path(im, *path, write);

		read += result == 0;
		if (result == 0 || (!named && result == -ENOENT))
			continue;
		fprintf(stderr, "ekeyctl: %s: %s\n", *path, file_error_text(-result));
		return EXIT_CANNOT_READ;
	}
	if (read > 0)
		return EXIT_OK;
	fprintf(stderr, "ekeyctl: no configuration of ekeyd on this machine: name its files\n");
	return EXIT_CANNOT_READ;
}

enum exit_code
tool_import_ekeyd(const struct tool_options *options, char **words)
{
	bool named = words[0] != NULL;
	char **paths = named ? words : usual;
	struct import im = {.credit = SOURCE_CREDIT_DEFAULT};
	enum exit_code code = import_all(&im, paths, named, false);

	(void)options;
	if (code != EXIT_OK)
		return code;
	say("; The configuration of ekeyd, for /etc/ekey-random/ekey-random.conf. Read it before "
	    "you use it.");
	code = import_all(&im, paths, named, true);
	if (im.daemon) {
		puts("");
		say("; The device, which ekeyd does not have.");
		add(&im, "[device random]\npath = /dev/ekey-random\n");
		finish_section(&im);
	}
	if (im.client)
		write_client(&im);
	return code;
}
