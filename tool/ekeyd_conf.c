/* SPDX-License-Identifier: MIT */
#include "tool/ekeyd_conf.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
#define BLANKS " \t\r"

/* What is left of one line. */
struct line {
	const char *at, *end;
};

static void
skip_blanks(struct line *l)
{
	while (l->at < l->end && strchr(BLANKS, *l->at) != NULL && *l->at != '\0')
		l->at++;
}

static bool
take_char(struct line *l, char c)
{
	if (l->at == l->end || *l->at != c)
		return false;
	l->at++;
	return true;
}

/* Characters of `set`, at least one. */
static bool
take_word(struct line *l, const char *set, char ret[static EKEYD_ARG_MAX])
{
	size_t len = 0;

	while (l->at < l->end && *l->at != '\0' && strchr(set, *l->at) != NULL) {
		if (len + 1 == EKEYD_ARG_MAX)
			return false;
		ret[len++] = *l->at++;
	}
	ret[len] = '\0';
	return len > 0;
}

/* Between quotes, of one kind or the other; nothing that would have to be undone inside. */
static bool
take_quoted(struct line *l, char ret[static EKEYD_ARG_MAX])
{
	char quote = l->at < l->end ? *l->at : '\0';
	size_t len = 0;

	if (quote != '"' && quote != '\'')
		return false;
	for (l->at++; l->at < l->end && *l->at != quote; l->at++) {
		if (len + 1 == EKEYD_ARG_MAX || *l->at == '\\' || (unsigned char)*l->at < ' ')
			return false;
		ret[len++] = *l->at;
	}
	ret[len] = '\0';
	return take_char(l, quote);
}

static bool
at_end(struct line *l, const char *comment)
{
	size_t len = strlen(comment);

	skip_blanks(l);
	return l->at == l->end ||
	       ((size_t)(l->end - l->at) >= len && memcmp(l->at, comment, len) == 0);
}

/* ---- Lua ---- */

static bool
take_args(struct line *l, struct ekeyd_line *ret)
{
	skip_blanks(l);
	if (take_char(l, ')'))
		return true;
	while (ret->count < EKEYD_ARGS_MAX) {
		skip_blanks(l);
		if (!take_quoted(l, ret->args[ret->count]) &&
		    !take_word(l, LETTERS ".", ret->args[ret->count]))
			return false;
		ret->count++;
		skip_blanks(l);
		if (take_char(l, ')'))
			return true;
		if (!take_char(l, ','))
			return false;
	}
	return false;
}

static bool
parse_call(struct line *l, struct ekeyd_line *ret)
{
	if (!take_word(l, LETTERS, ret->name))
		return false;
	skip_blanks(l);
	if (take_char(l, '(')) {
		if (!take_args(l, ret))
			return false;
	} else {
		if (!take_quoted(l, ret->args[0]))
			return false;
		ret->count = 1;
	}
	skip_blanks(l);
	(void)take_char(l, ';');
	return at_end(l, "--");
}

/* ---- shell ---- */

static bool
parse_assignment(struct line *l, struct ekeyd_line *ret)
{
	if (!take_word(l, LETTERS, ret->name) || !take_char(l, '='))
		return false;
	ret->count = 1;
	if (!take_quoted(l, ret->args[0]) && !take_word(l, LETTERS ".:/-", ret->args[0]))
		ret->args[0][0] = '\0';
	return at_end(l, "#");
}

/* ---- lines ---- */

void
ekeyd_reader_init(struct ekeyd_reader *r, const char *text, size_t len)
{
	*r = (struct ekeyd_reader){.at = text, .end = text + len};
}

static struct line
cut_line(struct ekeyd_reader *r)
{
	const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
	struct line line = {.at = r->at, .end = newline != NULL ? newline : r->end};

	r->at = newline != NULL ? newline + 1 : r->end;
	r->number++;
	return line;
}

static enum ekeyd_found
next(struct ekeyd_reader *r, const char *comment, bool (*parse)(struct line *, struct ekeyd_line *),
     struct ekeyd_line *ret)
{
	while (r->at < r->end) {
		struct line line = cut_line(r);

		if (at_end(&line, comment))
			continue;
		*ret = (struct ekeyd_line){.number = r->number};
		return parse(&line, ret) ? EKEYD_LINE : EKEYD_STRANGE;
	}
	return EKEYD_END;
}

/* A long comment's lines are taken for code, and then told as strange: nothing worse. */
enum ekeyd_found
ekeyd_next_call(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	return next(r, "--", parse_call, ret);
}

enum ekeyd_found
ekeyd_next_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	return next(r, "#", parse_assignment, ret);
}
