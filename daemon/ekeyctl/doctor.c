/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl doctor: prints a line for each part that should work, and how to correct one that does
 * not. It judges by the daemon's status and never opens a device.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ekeyctl/ctl_call.h"
#include "daemon/ekeyctl/unit.h"
#include "daemon/files.h"
#include "lib/file.h"

#define VALUE_MAX 256
#define ROWS_MAX 128 /* of one part: more than any has */
#define SEE_LOG "see the log of ekey-randomd for the cause"

/* One part, by its rows of the status. */
struct part {
	char kind[32], name[64];
	struct {
		char key[32], value[VALUE_MAX];
	} rows[ROWS_MAX];
	size_t count;
	const char *config; /* path of the daemon's configuration */
	unsigned problems;  /* of all parts so far */
	bool sources;       /* there is one */
	bool is_service;    /* the daemon is that of the unit */
};

/* Returns "" for a row that is not there. */
static const char *
value(const struct part *p, const char *key)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->rows[i].key, key) == 0)
			return p->rows[i].value;
	return "";
}

static bool
is(const struct part *p, const char *key, const char *text)
{
	return strcmp(value(p, key), text) == 0;
}

static bool
is_none(const struct part *p, const char *key)
{
	return strncmp(value(p, key), "none", strlen("none")) == 0;
}

static void
good(const struct part *p, const char *text, const char *detail)
{
	printf("ok   %s %s: %s%s\n", p->kind, p->name, text, detail);
}

static void
bad(struct part *p, const char *problem, const char *detail, const char *cure)
{
	printf("BAD  %s %s: %s%s\n     %s\n", p->kind, p->name, problem, detail, cure);
	p->problems++;
}

/* ---- one check for each kind ---- */

static void
check_pool(struct part *p)
{
	if (is(p, "in", "0"))
		bad(p, "no healthy byte yet", "", "see the sources below");
	else
		good(p, "has received bytes", "");
}

/* Checks a section of several keys, whose sources follow; an absent key has none. */
static void
check_section(struct part *p)
{
	unsigned long expected = strtoul(value(p, "expected"), NULL, 10);
	unsigned long present = strtoul(value(p, "present"), NULL, 10);
	char text[96] = "no key is present";

	if (!is(p, "address", "usb") || (present > 0 && present >= expected))
		return;
	if (expected > 0)
		snprintf(text, sizeof(text), "%lu of %lu expected keys present", present, expected);
	bad(p, text, "", "plug it in; `lsusb -d 20df:` lists the keys that are plugged in");
}

static void
check_source(struct part *p)
{
	const char *state = value(p, "state");

	p->sources = true;
	if (is(p, "serves", ""))
		check_section(p);
	else if (is(p, "serves", "yes") || is(p, "stands_by", "yes"))
		good(p, state, "");
	else if (is(p, "connected", "yes") && is(p, "use", "kernel"))
		good(p, state, ": they are mixed into the kernel's generator");
	else if (is(p, "connected", "yes") && is(p, "use", "none"))
		bad(p, state, "", "if you trust it, write: trusted = yes; or add [kernel]");
	else if (is(p, "type", "raw"))
		bad(p, state, "", "may the daemon read it? `ekeyctl unit` prints what that needs");
	else if (is(p, "type", "egd"))
		bad(p, state, "", "is the server reachable, and does it accept this machine?");
	else if (strstr(state, "keyring") != NULL)
		bad(p, state, "",
		    "have its card at hand and run: ekeyctl rekey SERIAL (see ekeyctl status)");
	else
		bad(p, state, "", "is it plugged in, and reachable?");
}

/* A node of CUSE is in the devtmpfs: lstat() does not reach its server. */
static void
check_node(struct part *p)
{
	const char *path = value(p, "path");
	struct stat st;

	if (!is(p, "via", "cuse"))
		return;
	if (lstat(path, &st) != 0)
		bad(p, "there is no node at ", path, "is /dev a devtmpfs?");
	else if ((st.st_mode & (S_IRGRP | S_IROTH)) == 0)
		bad(p, "only root may read ", path,
		    "60-ekey-random.rules of udev opens it, unless mode forbids");
}

/* Returns what to do for a device that is not served: the unit hides these directories. */
static const char *
device_cure(const struct part *p)
{
	static const char *const hidden[] = {"/home/", "/root/", "/tmp/", "/var/tmp/",
					     "/run/user/"};

	for (size_t i = 0; p->is_service && i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (strncmp(value(p, "path"), hidden[i], strlen(hidden[i])) == 0)
			return "the unit hides /home, /root, /tmp, /var/tmp and /run/user from the"
			       " service (ProtectHome=, PrivateTmp=); choose a path elsewhere, as "
			       "in"
			       " /dev";
	return SEE_LOG;
}

static void
check_device(struct part *p)
{
	if (is_none(p, "via")) {
		bad(p, "is not served: ", value(p, "path"), device_cure(p));
		return;
	}
	printf("ok   %s %s: %s by %s\n", p->kind, p->name, value(p, "path"), value(p, "via"));
	check_node(p);
	if (is(p, "handover", "none"))
		good(p,
		     "ends with the daemon, because no service manager keeps it; systemd would keep"
		     " it for readers across restarts and crashes",
		     "");
	else
		good(p, "outlives restarts and crashes of the daemon, kept by the ",
		     value(p, "handover"));
}

static void
check_listener(struct part *p)
{
	if (is_none(p, "class") || is(p, "listens", "no"))
		bad(p, "is not open: ", value(p, "address"), SEE_LOG);
	else
		good(p, value(p, "address"),
		     is(p, "drained", "yes") ? ", drained: HAProxy sends no new clients" : "");
}

static void
check_kernel(struct part *p)
{
	const char *credit = value(p, "credit");

	if (is_none(p, "credit"))
		bad(p, "bytes are mixed without the credit that is configured; ", credit,
		    strstr(credit, "CAP_SYS_ADMIN") != NULL ? UNIT_CURE
							    : "systemctl restart ekey-randomd");
	else if (!is(p, "error", "") && !is(p, "error", "-"))
		bad(p, value(p, "state"), "", SEE_LOG);
	else
		printf("ok   %s %s: %s; credit: %s\n", p->kind, p->name, value(p, "state"), credit);
}

/* Whether the process is of our unit, and was not started by hand. */
static bool
is_our_service(const char *pid)
{
	static const char unit[] = "/ekey-randomd.service\n";
	char path[64], line[VALUE_MAX];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.16s/cgroup", pid);
	file = fopen(path, "re");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		found = strlen(line) >= strlen(unit) &&
			strcmp(line + strlen(line) - strlen(unit), unit) == 0;
	if (file != NULL)
		fclose(file);
	return found;
}

/* Whether the installed drop-in, or its absence, is what the configuration needs. */
static bool
drop_in_is_right(const struct config *config)
{
	struct file_text file = {.text = NULL};
	char *needed = unit_text(config);
	int result = file_read(UNIT_DROP_IN, CONFIG_FILE_MAX, &file);
	bool right = needed != NULL && (result == 0 || result == -ENOENT) &&
		     unit_texts_equal(needed, result == 0 ? file.text : "");

	if (result == 0)
		file_finish(&file);
	free(needed);
	return right;
}

static void
check_service(struct part *p)
{
	struct config config;

	p->is_service = is_our_service(value(p, "pid"));
	if (!p->is_service)
		return;
	if (!files_read_config(p->config, &config))
		bad(p, "cannot read its configuration: ", p->config, "is it at another --config?");
	else if (drop_in_is_right(&config))
		good(p, "the service has the rights that its configuration needs", "");
	else
		bad(p, "the service has other rights than its configuration needs: ", UNIT_DROP_IN,
		    UNIT_CURE);
}

static void
check_tls(struct part *p)
{
	if (is(p, "state", "serves"))
		good(p, value(p, "state"), "");
	else
		bad(p, "ekey-tls does not serve: ", value(p, "state"),
		    "see the log, and systemctl status ekey-tls.socket ekey-tls");
}

/* ---- all parts ---- */

static void
check_part(struct part *p)
{
	static const struct {
		const char *kind;
		void (*check)(struct part *p);
	} checks[] = {{"daemon", check_service},  {"pool", check_pool},
		      {"source", check_source},   {"device", check_device},
		      {"listen", check_listener}, {"agent", check_listener},
		      {"kernel", check_kernel},   {"tls", check_tls}};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(p->kind, checks[i].kind) == 0)
			checks[i].check(p);
}

static void
next_part(struct part *p, const char *kind, const char *name)
{
	check_part(p);
	snprintf(p->kind, sizeof(p->kind), "%s", kind);
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->count = 0;
}

static void
add_row(void *arg, char *text)
{
	struct part *p = arg;
	struct status_row row;

	if (!ctl_call_cut_row(text, &row))
		return;
	if (strcmp(row.kind, p->kind) != 0 || strcmp(row.name, p->name) != 0)
		next_part(p, row.kind, row.name);
	if (p->count == ROWS_MAX)
		return;
	snprintf(p->rows[p->count].key, sizeof(p->rows[0].key), "%s", row.key);
	snprintf(p->rows[p->count++].value, VALUE_MAX, "%s", row.value);
}

enum exit_code
tool_doctor(const struct tool_options *options, char **words)
{
	struct part part = {.config = options->config != NULL ? options->config : CONFIG_PATH};
	enum exit_code code = ctl_call_once(options, "Status", add_row, &part);

	(void)words;
	if (code != EXIT_OK)
		return code;
	next_part(&part, "sources", "-");
	if (!part.sources)
		bad(&part, "there is none", "", "add a [source] to the configuration");
	return part.problems > 0 ? EXIT_ILL : EXIT_OK;
}
