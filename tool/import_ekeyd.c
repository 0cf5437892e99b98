/* SPDX-License-Identifier: MIT */
/*
 * What ekeyd and ekeyd-egd-linux were told, in our words: a configuration with a comment for each
 * line of theirs, to be read before it is used. Nothing is changed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/source.h"
#include "base/address.h"
#include "base/file.h"
#include "base/num.h"
#include "ctl/protocol.h"
#include "daemon/config.h"
#include "egd/listener.h"
#include "ekey/keyring.h"
#include "tool/ekeyd_conf.h"
#include "tool/tool.h"

#define FILE_MAX 65536
#define KERNEL_CREDIT_DEFAULT 4 /* of SetOutputToKernel() without a number */

/* What systemd leaves as it is in a quoted value of a file of assignments. */
#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:%_-"

/* In the order in which they are read; those that are missing were not configured. */
static char *usual[] = {(char[]){"/etc/entropykey/ekeyd.conf"},
			(char[]){"/etc/default/ekeyd"},
			(char[]){"/etc/default/ekeyd-egd-linux"},
			(char[]){"/etc/sysconfig/egd-linux"},   /* Fedora, CentOS */
			(char[]){"/etc/conf.d/ekey-egd-linux"}, /* Gentoo */
			NULL};

static const char not_known[] = "not known, and left out: what did it do?";

/* What has been said, for what is said once or at the end. */
struct import {
	unsigned listens, keys;
	bool usb, kernel;
	bool daemon;     /* a configuration of ekeyd was read */
	bool client;     /* and one of its EGD client */
	uint64_t credit; /* of SetOutputToKernel, bits per byte */
	char start[EKEYD_ARG_MAX], host[EKEYD_ARG_MAX], port[EKEYD_ARG_MAX];
	char shannons[EKEYD_ARG_MAX];
	char text[CONFIG_FILE_MAX]; /* the sections written so far */
	size_t len;
	size_t section_len; /* of the one behind them that is being made */
};

/* ---- lines ---- */

/* Writes one line that the daemon's parser takes: cut to its length, nothing in it but text. */
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

/* Adds to the section that is being made; what is too much for it is missing when it is tried. */
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

/* What this machine lacks for one of the listeners; NULL: nothing. */
static const char *
missing(const struct config *config)
{
	const char *error = NULL;

	for (size_t i = 0; i < config->listen_count && error == NULL; i++)
		error = egd_listener_missing(&config->listens[i]);
	return error;
}

/* Writes the section that was made: as a comment when the daemon would refuse it. */
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

static void
import_tcp_control(struct import *im, const struct ekeyd_line *line)
{
	(void)im, (void)line;
	comment("no counterpart: there is no control over TCP; use ekeyctl on the machine itself");
}

static void
import_unix_control(struct import *im, const struct ekeyd_line *line)
{
	(void)im, (void)line;
	comment("the control socket is " CTL_SOCKET_PATH ", as [daemon] control = says");
}

static void
import_keyring(struct import *im, const struct ekeyd_line *line)
{
	(void)im;
	comment("copy it, since removing ekeyd deletes it:");
	say(";       install -m 0640 -g ekey-random %s " TOOL_KEYRING_PATH, arg(line, 0));
}

static void
import_daemonise(struct import *im, const struct ekeyd_line *line)
{
	(void)im, (void)line;
	comment("no counterpart: the daemon stays in the foreground, and systemd behind it");
}

static void
import_order(struct import *im, const struct ekeyd_line *line)
{
	(void)im, (void)line;
	comment("no counterpart: it is an order to a running ekeyd, and no setting");
}

/* The credit of SetOutputToKernel() is a source's with us, and the sources may stand before it. */
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

	comment("as many bytes as do good, when the kernel asks and by the clock;");
	comment("`ekeyctl unit` prints what the service needs for it");
	if (arg(line, 0)[0] != '\0' && !num_parse(arg(line, 0), SOURCE_CREDIT_MAX, &credit))
		comment("each byte is credited with 7 bits, not as many as here");
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
	comment("no counterpart: take as much as you need, when you need it:");
	say(";       head -c 1000000 /dev/ekey-random >%s", arg(line, 0));
}

/* Returns what LuaSocket takes for a name as we write it. */
static const char *
listen_ip(const char *ip)
{
	if (ip[0] == '\0' || strcmp(ip, "localhost") == 0)
		return "127.0.0.1";
	return strcmp(ip, "*") == 0 ? "0.0.0.0" : ip;
}

static void
import_egd_tcp(struct import *im, const struct ekeyd_line *line)
{
	const char *ip = listen_ip(arg(line, 1));
	bool brackets = strchr(ip, ':') != NULL;
	struct address address;

	comment("`ekeyctl unit` prints what the service needs for it");
	add(im, "[listen egd-%u]\naddress = tcp:%s%s%s:%s\nclass = direct\n", ++im->listens,
	    brackets ? "[" : "", ip, brackets ? "]" : "", arg(line, 0));
	finish_section(im);
	if (!address_from_ip(ip, 0, &address) || address_is_loopback(&address))
		return;
	say("; allow = NETWORK");
	comment("Better still is tls:, which nobody on the way can read.");
}

/* The bits that mean something for a socket: ekeyd takes others too. */
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
	char owner[2 * EKEYD_ARG_MAX];

	comment("`ekeyctl unit` prints what the service needs for other directories and owners");
	snprintf(owner, sizeof(owner), "%s%s%s", arg(line, 2), arg(line, 3)[0] != '\0' ? ":" : "",
		 arg(line, 3));
	add(im, "[listen egd-%u]\naddress = unix:%s\nclass = direct\n", ++im->listens,
	    arg(line, 0));
	add_mode(im, arg(line, 1));
	if (owner[0] != '\0')
		add(im, "owner = %s\n", owner);
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
		comment("address = usb, above, has it already: one source for a key");
		return;
	}
	comment("every Entropy Key that is plugged in is found by itself");
	write_source(im, "keys", "", "usb");
	im->usb = true;
}

/* Where the kernel, udev and ekey-ulusbd put what is plugged in. */
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

/* A key on USB with its serial number is a source of its own beside "usb", which leaves it alone.
 */
static void
import_key(struct import *im, const struct ekeyd_line *line)
{
	const char *path = arg(line, 0), *serial = arg(line, 1);
	uint8_t parsed[KEYED_SERIAL_LEN];
	char name[sizeof("key-4294967295")];
	bool known = keyring_serial_parse(serial, parsed);

	if (serial[0] != '\0' && !known)
		comment("left out: " KEYRING_SERIAL_HINT);
	else if (known && !is_on_usb(path))
		comment("the key says its serial number itself: it is left out");
	if (is_on_usb(path) && !known) {
		import_usb(im, line);
		return;
	}
	snprintf(name, sizeof(name), "key-%u", ++im->keys);
	if (is_on_usb(path))
		write_source(im, name, "usb:", serial);
	else
		write_source(im, name, strncmp(path, "/dev/", 5) == 0 ? "" : "unix:", path);
}

static const struct {
	const char *name;
	size_t args_min;
	void (*import)(struct import *im, const struct ekeyd_line *line);
} calls[] = {
	{"TCPControlSocket", 1, import_tcp_control},
	{"UnixControlSocket", 1, import_unix_control},
	{"Keyring", 1, import_keyring},
	{"Daemonise", 1, import_daemonise},
	{"SetOutputToKernel", 0, import_kernel},
	{"SetOutputToFile", 1, import_file},
	{"EGDTCPSocket", 1, import_egd_tcp},
	{"EGDUnixSocket", 1, import_egd_unix},
	{"AddEntropyKey", 1, import_key},
	{"AddEntropyKeys", 1, import_usb},
	{"RemoveEntropyKey", 0, import_order},
	{"ListEntropyKeys", 0, import_order},
	{"StatEntropyKey", 0, import_order},
	{"Shutdown", 0, import_order},
	{"Bye", 0, import_order},
	{"Print", 0, import_order},
	{"MLPrint", 0, import_order},
	{"KVPrint", 0, import_order},
};

static void
import_call(struct import *im, const struct ekeyd_line *line)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(line->name, calls[i].name) != 0)
			continue;
		if (line->count < calls[i].args_min)
			comment("not understood: something is missing there");
		else
			calls[i].import(im, line);
		return;
	}
	comment(not_known);
}

/* ---- the shell's files ---- */

static const struct {
	const char *name; /* on Fedora with DAEMON_ before it */
	size_t kept;      /* where in struct import; 0: nowhere */
	const char *comment;
} settings[] = {
	{"START_EKEYD_EGD_LINUX", offsetof(struct import, start), "see the end"},
	{"HOST", offsetof(struct import, host), "see the end"},
	{"PORT", offsetof(struct import, port), "see the end"},
	{"SHANNONS", offsetof(struct import, shannons), "see the end"},
	{"WATERMARK", 0,
	 "no counterpart: it is the kernel's own, and means nothing since Linux 5.18"},
	{"BLOCKS", 0, "no counterpart: 64 bytes a minute reseed it; --bytes is for more"},
	{"RETRYTIME", 0,
	 "no counterpart: it tries again after 1, 2, 4... seconds, up to --interval"},
	{"RECONNECTINTERVAL", 0,
	 "no counterpart: it tries again after 1, 2, 4... seconds, up to --interval"},
};

static void
import_setting(struct import *im, const struct ekeyd_line *line)
{
	const char *name = line->name;

	if (strcmp(name, "START_EKEYD") == 0) {
		say(";   a key that is plugged in starts it; systemctl %s ekey-randomd",
		    strcmp(arg(line, 0), "YES") == 0 ? "enable" : "mask");
		return;
	}
	if (strncmp(name, "DAEMON_", 7) == 0)
		name += 7;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcmp(name, settings[i].name) != 0)
			continue;
		if (settings[i].kept != 0)
			memcpy((char *)im + settings[i].kept, line->args[0], EKEYD_ARG_MAX);
		im->client = true;
		comment(settings[i].comment);
		return;
	}
	comment(not_known);
}

/* NULL, or what ekey-feed or systemd would find wrong. */
static const char *
client_error(const struct import *im, const char *address)
{
	struct address_host parsed;
	uint64_t credit;

	if (address[strspn(address, HOST_CHARS "[]")] != '\0')
		return "HOST and PORT are not of an address";
	if (im->shannons[0] != '\0' && !num_parse(im->shannons, SOURCE_CREDIT_MAX, &credit))
		return "SHANNONS is not a number from 0 to 8";
	return address_parse_host(address, &parsed);
}

/* The client: what ekeyd-egd-linux did, or was meant to do. */
static void
write_client(const struct import *im)
{
	const char *host = im->host[0] != '\0' ? im->host : "127.0.0.1";
	const char *port = im->port[0] != '\0' ? im->port : "8888";
	bool brackets = strchr(host, ':') != NULL;
	char text[2 * EKEYD_ARG_MAX + 4];
	struct address ip;
	const char *error;
	bool own = strcmp(host, "localhost") == 0 ||
		   (address_from_ip(host, 0, &ip) && address_is_loopback(&ip));

	snprintf(text, sizeof(text), "%s%s%s:%s", brackets ? "[" : "", host, brackets ? "]" : "",
		 port);
	error = client_error(im, text);
	say("%s", "");
	say("; ekeyd-egd-linux%s asks for nothing on Linux 5.18 and later.",
	    im->start[0] == '\0'            ? ""
	    : strcmp(im->start, "YES") == 0 ? ", which was started,"
					    : ", which was not started,");
	if (error != NULL) {
		say(";   not understood, so that there is no ekey-feed: %s", error);
		return;
	}
	if (own) {
		comment("The server is this machine: where that is our daemon, [kernel] does it.");
	} else {
		comment("A link that others can listen to deserves no credit: say --trusted only");
		comment("where it is private, or better have the server speak tls:.");
	}
	comment("As /etc/default/ekey-feed, for ekey-feed.service:");
	say("; EKEY_FEED_OPTIONS=\"--from tcp:%s%s%s%s\"", text, own ? " --trusted" : "",
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
	say("%s", "");
	say("; %s, line %u: %s%s", path, line->number, line->name, args);
}

static void
show_strange(const char *path, const struct ekeyd_line *line)
{
	say("%s", "");
	if (line->last > line->number)
		say("; %s, lines %u to %u: not understood, and left out: look at them", path,
		    line->number, line->last);
	else
		say("; %s, line %u: not understood, and left out: look at it", path, line->number);
}

/* ";" behind a blank begins a comment with us, and blanks at the ends are not a value's. */
static bool
is_plain(const char *text)
{
	size_t len = strlen(text);

	return strstr(text, " ;") == NULL && (len == 0 || (text[0] != ' ' && text[len - 1] != ' '));
}

static void
import_line(struct import *im, const char *path, const struct ekeyd_line *line)
{
	bool plain = true;

	show(path, line);
	for (size_t i = 0; i < line->count; i++)
		plain = plain && is_plain(line->args[i]);
	if (!plain)
		comment("not understood: a blank in it stands where none can");
	else if (is_lua(path))
		import_call(im, line);
	else
		import_setting(im, line);
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
		if (!write)
			find_credit(im, &line);
		else if (found == EKEYD_STRANGE)
			show_strange(path, &line);
		else
			import_line(im, path, &line);
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

/* Reads all files, and again to write what they say: a later line can change an earlier one's. */
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
	fprintf(stderr, "ekeyctl: ekeyd was not configured here\n");
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
	say("; What configured ekeyd, for /etc/ekey-random/ekey-random.conf. Read it before you "
	    "use it.");
	code = import_all(&im, paths, named, true);
	if (im.daemon) {
		say("%s", "");
		say("; What ekeyd has not.");
		add(&im, "[device random]\npath = /dev/ekey-random\n");
		finish_section(&im);
	}
	if (im.client)
		write_client(&im);
	return code;
}
