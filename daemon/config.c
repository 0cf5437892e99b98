/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <ini.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_inside.h"
#include "daemon/config_keys.h"

#define BLANKS " \t\r"
#define BYTE_ORDER_MARK "\xef\xbb\xbf" /* before what some editors save as UTF-8 */

void
config_error(struct config_parser *p, unsigned line, const char *format, ...)
{
	size_t n = p->errors->count++;
	va_list args;

	if (n >= CONFIG_ERRORS_MAX)
		return;
	p->errors->at[n].line = line;
	va_start(args, format);
	vsnprintf(p->errors->at[n].text, CONFIG_ERROR_TEXT_MAX, format, args);
	va_end(args);
}

/* ---- sections ---- */

unsigned
config_section_line(const struct config_parser *p)
{
	return p->begun[p->begun_count - 1].line;
}

const char *
config_section_name(const struct config_parser *p)
{
	return p->begun[p->begun_count - 1].name;
}

/* The whole section has been read: is all there that it needs, is it unlike the others? */
static void
config_end_section(struct config_parser *p)
{
	if (p->open == NULL)
		return;
	for (size_t i = 0; config_keys[i].section != NULL; i++)
		if (config_keys[i].required && (p->keys_seen >> i & 1) == 0 &&
		    strcmp(config_keys[i].section, p->open->kind) == 0)
			config_error(p, config_section_line(p), "[%s] lacks '%s': %s",
				     p->open->kind, config_keys[i].name, config_keys[i].help);
	if (p->open->end != NULL)
		p->open->end(p);
	p->open = NULL;
}

static const struct config_section *
config_find_section(const char *kind)
{
	for (const struct config_section *at = config_sections; at->kind != NULL; at++)
		if (strcmp(kind, at->kind) == 0)
			return at;
	return NULL;
}

/* A name appears in logs and in tab-separated answers: it is one plain word. */
static bool
config_name_good(const struct config_section *section, const char *name)
{
	if (!section->named)
		return name[0] == '\0';
	return name[0] != '\0' && name[strspn(name, CONFIG_NAME_CHARS)] == '\0' &&
	       strlen(name) < CONFIG_NAME_MAX;
}

/* The line in which the same section began before, or 0. */
static unsigned
config_begun_before(const struct config_parser *p, const struct config_section *section,
		    const char *name)
{
	for (size_t i = 0; i < p->begun_count; i++)
		if (p->begun[i].section == section && strcmp(p->begun[i].name, name) == 0)
			return p->begun[i].line;
	return 0;
}

/* Opens the section, or says why not: its keys are then passed over, one error is enough. */
static void
config_begin_section(struct config_parser *p, const char *kind, const char *name)
{
	const struct config_section *section = config_find_section(kind);
	unsigned before;

	if (section == NULL) {
		config_error(p, p->line, "unknown section [%s]", kind);
	} else if (!config_name_good(section, name)) {
		config_error(p, p->line,
			     section->named ? "[%s NAME] needs a name: up to 31"
					      " letters, digits and ._-"
					    : "[%s] takes no name",
			     kind);
	} else if ((before = config_begun_before(p, section, name)) != 0) {
		config_error(p, p->line, "this section has begun in line %u", before);
	} else if ((p->object = section->begin(p)) == NULL) {
		config_error(p, p->line, "too many [%s] sections", kind);
	} else {
		p->open = section;
		p->keys_seen = 0;
		p->begun[p->begun_count].section = section;
		p->begun[p->begun_count].line = p->line;
		memcpy(p->begun[p->begun_count].name, name, strlen(name) + 1);
		p->begun_count++;
	}
}

/* "[KIND NAME]", perhaps with a comment behind it. */
static void
config_header_line(struct config_parser *p, char *line)
{
	char *end = strchr(line, ']');
	const char *rest = end != NULL ? end + 1 + strspn(end + 1, BLANKS) : "";
	char *name = line + 1;
	const char *kind;

	config_end_section(p);
	p->before_first_section = false;
	if (end == NULL || (*rest != '\0' && *rest != ';' && *rest != '#')) {
		config_error(p, p->line, "a section is written [KIND] or [KIND NAME]");
		return;
	}
	*end = '\0';
	kind = strsep(&name, BLANKS);
	config_begin_section(p, kind, name != NULL ? name + strspn(name, BLANKS) : "");
}

/* ---- keys ---- */

/* NULL, or what is wrong with the value. */
static const char *
config_store(struct config_parser *p, const struct config_key *key, const char *value)
{
	if (value[0] == '\0')
		return "a value is needed";
	if (strchr(value, '\t') != NULL)
		return "a tab is not possible"; /* it separates the fields of a status */
	if (strstr(value, " #") != NULL)
		return "a comment behind a value starts with ;";
	return key->parse((char *)p->object + key->offset, key->size, value);
}

/* libinih's handler: one "name = value". */
static int
config_on_key(void *arg, const char *ini_section, const char *name, const char *value)
{
	struct config_parser *p = arg;
	const struct config_key *key;
	const char *error;
	uint64_t bit;

	(void)ini_section;
	if (p->before_first_section)
		config_error(p, p->line, "'%s' stands before any [section]", name);
	if (p->open == NULL)
		return 1;
	key = config_key_find(p->open->kind, name);
	if (key == NULL) {
		config_error(p, p->line, "unknown key '%s' in [%s]", name, p->open->kind);
		return 1;
	}
	bit = UINT64_C(1) << (key - config_keys);
	error = p->keys_seen & bit ? "it is given twice" : config_store(p, key, value);
	if (error != NULL)
		config_error(p, p->line, "%s = %s: %s", name, value, error);
	p->keys_seen |= bit;
	return 1;
}

/* ---- lines ---- */

/*
 * libinih splits "name = value ; comment". It is given one line at a time because it tells neither
 * the line of a key nor a section without keys, and would take an indented line for the
 * continuation of the one before. It must see no section: that would be forgotten with its line.
 */
static void
config_line(struct config_parser *p, char *line)
{
	line += strspn(line, BLANKS);
	if (strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		config_error(p, p->line, "a byte-order mark can begin the file, but no line in it");
	else if (line[0] == '[')
		config_header_line(p, line);
	else if (ini_parse_string(line, config_on_key, p) != 0)
		config_error(p, p->line, "neither a [section], a 'key = value' nor a # comment");
}

/* Copies one raw line for config_line(), unless it holds what no line may hold. */
static void
config_raw_line(struct config_parser *p, const char *at, size_t len)
{
	char line[CONFIG_LINE_MAX + 1];

	p->line++;
	if (len > CONFIG_LINE_MAX) {
		config_error(p, p->line, "longer than %d bytes", CONFIG_LINE_MAX);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];

		if ((c < ' ' && c != '\t' && !(c == '\r' && i == len - 1)) || c == 0x7f) {
			config_error(p, p->line, "control character 0x%02x", c);
			return;
		}
	}
	memcpy(line, at, len);
	line[len] = '\0';
	config_line(p, line);
}

bool
config_parse(const char *text, size_t len, struct config *ret, struct config_errors *ret_errors)
{
	struct config config;
	struct config_parser p = {
		.config = &config, .errors = ret_errors, .before_first_section = true};
	size_t mark = strlen(BYTE_ORDER_MARK);

	config_defaults(&config);
	ret_errors->count = 0;
	if (len >= mark && memcmp(text, BYTE_ORDER_MARK, mark) == 0) {
		text += mark;
		len -= mark;
	}
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end != NULL ? (size_t)(end - text) : len;
		size_t taken = end != NULL ? line_len + 1 : len;

		config_raw_line(&p, text, line_len);
		text += taken;
		len -= taken;
	}
	config_end_section(&p);
	config_check(&p);
	if (ret_errors->count > 0)
		return false;
	*ret = config;
	return true;
}
