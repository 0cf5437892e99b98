/* SPDX-License-Identifier: MIT */
/*
 * What somebody wants to know who was woken by it: one line for each thing that should work, and
 * below the ones that do not what to do. Judges what the daemon says, and never opens a device.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "daemon/files.h"
#include "tool/ask.h"
#include "tool/unit.h"

#define DOCTOR_VALUE_MAX 256

/* What the rows of one subject say, of that which is looked at. */
enum key {
	IN,
	TYPE,
	EXPECTED,
	PRESENT,
	SERVES,
	STANDS_BY,
	STATE,
	PATH,
	VIA,
	HANDOVER,
	ADDRESS,
	CLASS,
	LISTENS,
	DRAINED,
	ERROR,
	CREDIT,
	PID,
	KEYS
};
static const char *const key_names[KEYS] = {
	[IN] = "in",
	[TYPE] = "type",
	[EXPECTED] = "expected",
	[PRESENT] = "present",
	[SERVES] = "serves",
	[STANDS_BY] = "stands_by",
	[STATE] = "state",
	[PATH] = "path",
	[VIA] = "via",
	[HANDOVER] = "handover",
	[ADDRESS] = "address",
	[CLASS] = "class",
	[LISTENS] = "listens",
	[DRAINED] = "drained",
	[ERROR] = "error",
	[CREDIT] = "credit",
	[PID] = "pid",
};

struct subject {
	char kind[32], name[64];
	char values[KEYS][DOCTOR_VALUE_MAX]; /* "": not said */
	const char *config;                  /* the daemon's configuration */
	unsigned problems;                   /* of all so far */
	bool sources;
};

static void
good(const struct subject *s, const char *text, const char *detail)
{
	printf("ok   %s %s: %s%s\n", s->kind, s->name, text, detail);
}

static void
bad(struct subject *s, const char *problem, const char *detail, const char *cure)
{
	printf("BAD  %s %s: %s%s\n     %s\n", s->kind, s->name, problem, detail, cure);
	s->problems++;
}

static bool
is(const struct subject *s, enum key key, const char *value)
{
	return strcmp(s->values[key], value) == 0;
}

/* ---- one judge for each kind ---- */

static void
judge_pool(struct subject *s)
{
	if (is(s, IN, "0"))
		bad(s, "no healthy byte has come yet", "", "see the sources below");
	else
		good(s, "bytes have come", "");
}

/* A section of several sources, whose own rows follow; a key that is not plugged in has none. */
static void
judge_section(struct subject *s)
{
	unsigned long expected = strtoul(s->values[EXPECTED], NULL, 10);
	unsigned long present = strtoul(s->values[PRESENT], NULL, 10);
	char text[96] = "no key is present";

	if (!is(s, ADDRESS, "usb") || (present > 0 && present >= expected))
		return;
	if (expected > 0)
		snprintf(text, sizeof(text), "%lu of %lu expected keys present", present, expected);
	bad(s, text, "", "plug it in; `lsusb -d 20df:` lists those that are");
}

static void
judge_source(struct subject *s)
{
	s->sources = true;
	if (s->values[SERVES][0] == '\0')
		judge_section(s);
	else if (is(s, SERVES, "yes") || is(s, STANDS_BY, "yes"))
		good(s, s->values[STATE], "");
	else if (is(s, TYPE, "egd"))
		bad(s, s->values[STATE], "",
		    "is the server reachable from here, and may this machine ask it?");
	else if (strstr(s->values[STATE], "keyring") != NULL)
		bad(s, s->values[STATE], "",
		    "have its card at hand and run: ekeyctl rekey SERIAL, with that of ekeyctl "
		    "status");
	else
		bad(s, s->values[STATE], "", "is it plugged in, and reachable?");
}

/* A node of CUSE is looked at on the devtmpfs, which asks nobody who might hang. */
static void
judge_node(struct subject *s)
{
	struct stat st;

	if (!is(s, VIA, "cuse"))
		return;
	if (lstat(s->values[PATH], &st) != 0)
		bad(s, "there is no node at ", s->values[PATH], "is /dev a devtmpfs?");
	else if ((st.st_mode & (S_IRGRP | S_IROTH)) == 0)
		bad(s, "only root may read ", s->values[PATH],
		    "udev opens it by 60-ekey-random.rules, unless mode says so");
}

/* Without a service manager this is as it must be, so no problem. */
static void
judge_handover(struct subject *s)
{
	if (is(s, HANDOVER, "none"))
		good(s,
		     "ends with the daemon, as no service manager keeps it: start it by systemd to"
		     " have readers outlive restarts and crashes",
		     "");
	else
		good(s, "outlives restarts and crashes of the daemon, kept by the ",
		     s->values[HANDOVER]);
}

static void
judge_device(struct subject *s)
{
	if (strncmp(s->values[VIA], "none", strlen("none")) == 0) {
		bad(s, "is not served: ", s->values[PATH],
		    "see the log: ekey-randomd said why, and what to do");
		return;
	}
	printf("ok   %s %s: %s by %s\n", s->kind, s->name, s->values[PATH], s->values[VIA]);
	judge_node(s);
	judge_handover(s);
}

static void
judge_listen(struct subject *s)
{
	if (strncmp(s->values[CLASS], "none", strlen("none")) == 0) {
		bad(s, "is not open: ", s->values[ADDRESS], "see the log: ekey-randomd said why");
		return;
	}
	good(s, s->values[ADDRESS], "");
}

static void
judge_agent(struct subject *s)
{
	if (is(s, LISTENS, "no"))
		bad(s, "is not open: ", s->values[ADDRESS], "see the log: ekey-randomd said why");
	else
		good(s, s->values[ADDRESS],
		     is(s, DRAINED, "yes") ? ", drained: HAProxy sends no new clients" : "");
}

static void
judge_kernel(struct subject *s)
{
	if (strncmp(s->values[CREDIT], "none", strlen("none")) == 0)
		bad(s, "credit is asked for, and bytes are mixed without; ", s->values[CREDIT],
		    strstr(s->values[CREDIT], "CAP_SYS_ADMIN") != NULL
			    ? UNIT_CURE
			    : "systemctl restart ekey-randomd");
	else if (s->values[ERROR][0] != '\0' && !is(s, ERROR, "-"))
		bad(s, s->values[STATE], "", "see the log: ekey-randomd said why");
	else
		printf("ok   %s %s: %s; credit: %s\n", s->kind, s->name, s->values[STATE],
		       s->values[CREDIT]);
}

/* Whether the process is of our unit, and not one that was started by hand. */
static bool
is_our_service(const char *pid)
{
	static const char unit[] = "/ekey-randomd.service\n";
	char path[64], line[DOCTOR_VALUE_MAX];
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

/* Whether the drop-in that is installed, or none, says what the configuration needs. */
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
judge_service(struct subject *s)
{
	struct config config;

	if (!is_our_service(s->values[PID]))
		return;
	if (!files_read_config(s->config, &config))
		bad(s, "its configuration cannot be read: ", s->config, "--config names another");
	else if (drop_in_is_right(&config))
		good(s, "the service has the rights that its configuration needs", "");
	else
		bad(s, "the service has other rights than its configuration needs: ", UNIT_DROP_IN,
		    UNIT_CURE);
}

static void
judge_tls(struct subject *s)
{
	if (is(s, STATE, "serves"))
		good(s, s->values[STATE], "");
	else
		bad(s, "ekey-tls is not there: ", s->values[STATE],
		    "see the log, and systemctl status ekey-tls.socket ekey-tls");
}

static void
judge(struct subject *s)
{
	static const struct {
		const char *kind;
		void (*judge)(struct subject *s);
	} judges[] = {{"daemon", judge_service}, {"pool", judge_pool},     {"source", judge_source},
		      {"device", judge_device},  {"listen", judge_listen}, {"agent", judge_agent},
		      {"kernel", judge_kernel},  {"tls", judge_tls}};

	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++)
		if (strcmp(s->kind, judges[i].kind) == 0)
			judges[i].judge(s);
}

/* ---- the whole ---- */

static void
next_subject(struct subject *s, const char *kind, const char *name)
{
	judge(s);
	snprintf(s->kind, sizeof(s->kind), "%s", kind);
	snprintf(s->name, sizeof(s->name), "%s", name);
	memset(s->values, 0, sizeof(s->values));
}

static void
hear_row(void *arg, char *row)
{
	struct subject *s = arg;
	const char *kind = strsep(&row, "\t"), *name = strsep(&row, "\t");
	const char *key = strsep(&row, "\t"), *value = row;

	if (value == NULL)
		return;
	if (strcmp(kind, s->kind) != 0 || strcmp(name, s->name) != 0)
		next_subject(s, kind, name);
	for (int i = 0; i < KEYS; i++)
		if (strcmp(key, key_names[i]) == 0)
			snprintf(s->values[i], sizeof(s->values[i]), "%s", value);
}

enum exit_code
tool_doctor(const struct tool_options *options, char **words)
{
	struct subject s = {.config = options->config != NULL ? options->config : CONFIG_PATH};
	struct ctl_connection c;
	enum exit_code code = ask_open(&c, options->socket);

	(void)words;
	if (code != EXIT_OK)
		return code;
	code = ask(&c, "Status", hear_row, &s);
	ctl_close(&c);
	next_subject(&s, "sources", "-");
	if (code == EXIT_OK && !s.sources)
		bad(&s, "there is none", "", "no [source] in the configuration");
	return code != EXIT_OK ? code : s.problems > 0 ? EXIT_ILL : EXIT_OK;
}
