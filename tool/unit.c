/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl unit: prints the drop-in with those rights that the shipped unit does not have and the
 * configuration needs.
 */
#include "tool/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "daemon/files.h"
#include "tool/tool.h"
#include "tool/unit_needs.h"

#define LINE_MAX_LEN (2 * UNIT_VALUE_MAX)

/* All that has no meaning of its own in a unit file. */
#define VALUE_CHARS CONFIG_NAME_CHARS "/:+@, "
#define FEED_OPTIONS "/etc/default/ekey-feed"
#define FEED_VARIABLE "EKEY_FEED_OPTIONS="

/* ---- the text ---- */

struct text {
	const struct unit_need *need; /* that is looked at */
	bool unit;                    /* the lines of [Unit], else of [Service] */
	const char *section;          /* what is to stand above the next line; NULL: nothing */
	const char *what;             /* the same */
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
see_part(const struct unit_part *part, struct text *t)
{
	const char *lines = t->unit ? t->need->unit : t->need->service;
	char value[UNIT_VALUE_MAX] = "";

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
make_text(const struct unit_need *needs, void (*see_all)(const void *subject, struct text *t),
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

/* ---- the daemon's parts ---- */

static void
see_listen(const struct config *config, const struct egd_listen_config *listen, struct text *t)
{
	struct unit_part part = {.config = config,
				 .listen = listen,
				 .at = listen->address,
				 .allow = listen->allow,
				 .proxy = listen->proxy_from};

	see_part(&part, t);
}

static void
see_source(const struct config *config, const char *addresses, struct text *t)
{
	struct unit_part part = {.config = config};

	while (source_address_next(&addresses, part.source))
		see_part(&part, t);
}

static void
see_config(const void *subject, struct text *t)
{
	const struct config *config = subject;
	const struct unit_part whole = {.config = config, .whole = true};
	const struct unit_part agent = {
		.at = config->agent, .allow = config->agent_allow, .proxy = ""};

	see_part(&whole, t);
	see_part(&agent, t);
	for (size_t i = 0; i < config->listen_count; i++)
		see_listen(config, &config->listens[i], t);
	for (size_t i = 0; i < config->source_count; i++)
		see_source(config, config->sources[i].address, t);
	for (size_t i = 0; i < config->device_count; i++) {
		const struct unit_part part = {.config = config, .device = &config->devices[i]};

		see_part(&part, t);
	}
}

char *
unit_text(const struct config *config)
{
	return make_text(unit_daemon_needs, see_config, config);
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
		struct unit_part part = {.whole = false};
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
	code = print(make_text(unit_feed_needs, see_words, file.text), path, "ekey-feed.service");
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
