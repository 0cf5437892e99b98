/* SPDX-License-Identifier: MIT */
/*
 * What ekeyd and ekeyd-egd-linux were told, in our words: a configuration with a comment for each
 * line of theirs, to be read before it is used. Nothing is changed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/source.h"
#include "base/address.h"
#include "base/file.h"
#include "base/num.h"
#include "ctl/protocol.h"
#include "tool/ekeyd_conf.h"
#include "tool/tool.h"

#define FILE_MAX 65536

/* In the order in which they are read; those that are missing were not configured. */
static char *usual[] = {(char[]){"/etc/entropykey/ekeyd.conf"}, (char[]){"/etc/default/ekeyd"},
			(char[]){"/etc/default/ekeyd-egd-linux"}, NULL};

/* What has been said, for what is said once or at the end. */
struct import {
	unsigned listens, sources;
	bool usb, kernel;
	bool daemon;     /* a configuration of ekeyd was read */
	uint64_t credit; /* of SetOutputToKernel, bits per byte */
	char start[EKEYD_ARG_MAX], host[EKEYD_ARG_MAX], port[EKEYD_ARG_MAX];
	char shannons[EKEYD_ARG_MAX];
};

static void
comment(const char *text)
{
	printf(";   %s\n", text);
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
	printf(";   copy it, since removing ekeyd deletes it:\n"
	       ";       install -m 0640 -g ekey-random %s " TOOL_KEYRING_PATH "\n",
	       arg(line, 0));
}

static void
import_daemonise(struct import *im, const struct ekeyd_line *line)
{
	(void)im, (void)line;
	comment("no counterpart: the daemon stays in the foreground, and systemd behind it");
}

static void
import_kernel(struct import *im, const struct ekeyd_line *line)
{
	comment("as many bytes as do good, when the kernel asks and by the clock;");
	comment("the service needs kernel.conf for it: see ekey-randomd(8)");
	if (line->count > 0 && !num_parse(arg(line, 0), SOURCE_CREDIT_MAX, &im->credit))
		comment("each byte is credited with 7 bits, not as many as here");
	else if (im->credit != SOURCE_CREDIT_DEFAULT && (im->usb || im->sources > 0))
		printf(";   in each [source] above say: credit = %u\n", (unsigned)im->credit);
	if (!im->kernel)
		printf("[kernel]\nbytes = 64\ninterval = 60s\n");
	im->kernel = true;
}

static void
import_file(struct import *im, const struct ekeyd_line *line)
{
	(void)im;
	printf(";   no counterpart: take as much as you need, when you need it:\n"
	       ";       head -c 1000000 /dev/ekey-random >%s\n",
	       arg(line, 0));
}

/* Who serves others than this machine says whom. */
static void
import_egd_tcp(struct import *im, const struct ekeyd_line *line)
{
	const char *ip = line->count > 1 ? arg(line, 1) : "127.0.0.1";
	struct address address;
	uint64_t port;
	const char *off = "";

	if (!num_parse(arg(line, 0), UINT16_MAX, &port) || port == 0 ||
	    !address_from_ip(ip, (uint16_t)port, &address)) {
		comment("not understood: a port and an address in numbers are needed");
		return;
	}
	if (!address_is_loopback(&address)) {
		comment("others than this machine are served only when they are named: say which");
		comment("networks, and take the semicolons away. Better still is tls:, "
			"which nobody on the way can read:");
		off = "; ";
	}
	comment("the service needs network.conf for it: see ekey-randomd(8)");
	printf("%s[listen egd-%u]\n%saddress = tcp:%s%s%s:%u\n%sclass = direct\n", off,
	       ++im->listens, off, strchr(ip, ':') != NULL ? "[" : "", ip,
	       strchr(ip, ':') != NULL ? "]" : "", (unsigned)port, off);
	if (*off != '\0')
		printf("; allow = NETWORK\n");
}

static void
import_egd_unix(struct import *im, const struct ekeyd_line *line)
{
	comment("the service can make it in /run/ekey-random only; guests.conf is for an owner");
	printf("[listen egd-%u]\naddress = unix:%s\nclass = direct\nmode = %s\n", ++im->listens,
	       arg(line, 0), line->count > 1 ? arg(line, 1) : "0600");
	if (arg(line, 2)[0] != '\0' || arg(line, 3)[0] != '\0')
		printf("owner = %s%s%s\n", arg(line, 2), arg(line, 3)[0] != '\0' ? ":" : "",
		       arg(line, 3));
}

/* The credit is a source's with us. */
static void
write_source(const struct import *im, const char *name, const char *address)
{
	printf("[source %s]\ntype = ekey\naddress = %s\n", name, address);
	if (im->credit != SOURCE_CREDIT_DEFAULT)
		printf("credit = %u\n", (unsigned)im->credit);
}

static void
import_usb(struct import *im, const struct ekeyd_line *line)
{
	(void)line;
	comment("every Entropy Key that is plugged in is found by itself");
	if (!im->usb)
		write_source(im, "keys", "usb");
	im->usb = true;
}

static void
import_key(struct import *im, const struct ekeyd_line *line)
{
	char name[sizeof("key-4294967295")];

	if (strncmp(arg(line, 0), "/dev/", 5) != 0) {
		comment("a socket of ekey-ulusbd, which is not needed any more");
		import_usb(im, line);
		return;
	}
	snprintf(name, sizeof(name), "key-%u", ++im->sources);
	write_source(im, name, arg(line, 0));
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
};

static void
show(const char *path, const struct ekeyd_line *line)
{
	printf("\n; %s, line %u: %s", path, line->number, line->name);
	for (size_t i = 0; i < line->count; i++)
		printf("%s %s", i > 0 ? "," : "", line->args[i]);
	printf("\n");
}

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
	comment("not known, and left out: what did it do?");
}

/* ---- /etc/default ---- */

static void
import_setting(struct import *im, const struct ekeyd_line *line)
{
	struct {
		const char *name;
		char *to;
	} kept[] = {{"START_EKEYD_EGD_LINUX", im->start},
		    {"HOST", im->host},
		    {"PORT", im->port},
		    {"SHANNONS", im->shannons}};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(line->name, kept[i].name) == 0) {
			memcpy(kept[i].to, line->args[0], EKEYD_ARG_MAX);
			comment("see the end");
			return;
		}
	if (strcmp(line->name, "START_EKEYD") == 0)
		comment(strcmp(arg(line, 0), "YES") == 0 ? "a key that is plugged in starts it; "
							   "systemctl enable ekey-randomd"
							 : "a key that is plugged in starts it; "
							   "systemctl mask ekey-randomd");
	else if (strcmp(line->name, "WATERMARK") == 0)
		comment("no counterpart: it is the kernel's own, and means nothing since Linux "
			"5.18");
	else if (strcmp(line->name, "BLOCKS") == 0)
		comment("no counterpart: 64 bytes a minute reseed it; --bytes is for more");
	else if (strcmp(line->name, "RETRYTIME") == 0)
		comment("no counterpart: it tries again after 1, 2, 4... seconds, up to "
			"--interval");
	else
		comment("not known, and left out: what did it do?");
}

/* The client: what ekeyd-egd-linux did, or was meant to do. */
static void
write_client(const struct import *im)
{
	const char *host = im->host[0] != '\0' ? im->host : "127.0.0.1";
	const char *port = im->port[0] != '\0' ? im->port : "8888";
	bool own = strcmp(host, "127.0.0.1") == 0 || strcmp(host, "localhost") == 0;

	printf("\n; ekeyd-egd-linux, which %s started, asks for nothing on Linux 5.18 and later.\n",
	       strcmp(im->start, "YES") == 0 ? "was" : "was not");
	if (own)
		comment("The server is this machine: where that is our daemon, [kernel] does it.");
	else
		comment("A link that others can listen to deserves no credit: say --trusted only "
			"where it\n"
			";   is private, or better have the server speak tls:.");
	comment("As /etc/default/ekey-feed, for ekey-feed.service:");
	printf("; EKEY_FEED_OPTIONS=\"--from tcp:%s:%s%s%s%s\"\n", host, port,
	       own ? " --trusted" : "", im->shannons[0] != '\0' ? " --credit " : "", im->shannons);
}

/* ---- files ---- */

static bool
is_lua(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && strcmp(dot, ".conf") == 0;
}

static void
import_text(struct import *im, const char *path, const char *text, size_t len)
{
	bool lua = is_lua(path);
	struct ekeyd_reader reader;
	struct ekeyd_line line;
	enum ekeyd_found found;

	im->daemon |= lua;
	ekeyd_reader_init(&reader, text, len);
	while ((found = lua ? ekeyd_next_call(&reader, &line)
			    : ekeyd_next_assignment(&reader, &line)) != EKEYD_END) {
		if (found == EKEYD_STRANGE) {
			printf("\n; %s, line %u: not understood, and left out: look at it\n", path,
			       line.number);
			continue;
		}
		show(path, &line);
		if (lua)
			import_call(im, &line);
		else
			import_setting(im, &line);
	}
}

/* 0 or -errno. */
static int
import_path(struct import *im, const char *path)
{
	struct file_text file;
	int result = file_read(path, FILE_MAX, &file);

	if (result < 0)
		return result;
	import_text(im, path, file.text, file.len);
	file_finish(&file);
	return 0;
}

enum exit_code
tool_import_ekeyd(const struct tool_options *options, char **words)
{
	bool named = words[0] != NULL;
	struct import im = {.credit = SOURCE_CREDIT_DEFAULT};
	unsigned read = 0;

	(void)options;
	printf("; What configured ekeyd, for /etc/ekey-random/ekey-random.conf. Read it before you "
	       "use it.\n");
	for (char **path = named ? words : usual; *path != NULL; path++) {
		int result = import_path(&im, *path);

		read += result == 0;
		if (result == 0 || (!named && result == -ENOENT))
			continue;
		fprintf(stderr, "ekeyctl: %s: %s\n", *path, strerror(-result));
		return EXIT_CANNOT_READ;
	}
	if (read == 0) {
		fprintf(stderr, "ekeyctl: ekeyd was not configured here\n");
		return EXIT_CANNOT_READ;
	}
	if (im.daemon)
		printf("\n; What ekeyd has not.\n[device random]\npath = /dev/ekey-random\n");
	if (im.host[0] != '\0' || im.start[0] != '\0')
		write_client(&im);
	return EXIT_OK;
}
