/* SPDX-License-Identifier: MIT */
#include "tool/ekeyd_conf.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
#define DIGITS "0123456789"
#define BLANKS " \t\r"

/* ---- characters ---- */

/* NUL behind the end of the text. */
static char
peek(const struct ekeyd_reader *r, size_t ahead)
{
	return ahead < (size_t)(r->end - r->at) ? r->at[ahead] : '\0';
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static void
advance(struct ekeyd_reader *r, size_t n)
{
	for (; n > 0 && r->at < r->end; n--)
		r->number += *r->at++ == '\n';
}

static bool
take_char(struct ekeyd_reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	advance(r, 1);
	return true;
}

static bool
add_char(char c, size_t *len, char ret[static EKEYD_ARG_MAX])
{
	if (*len + 1 == EKEYD_ARG_MAX || (unsigned char)c < ' ' || c == 0x7f)
		return false;
	ret[(*len)++] = c;
	ret[*len] = '\0';
	return true;
}

/* Takes the characters of `set`, at least one. */
static bool
take_word(struct ekeyd_reader *r, const char *set, char ret[static EKEYD_ARG_MAX])
{
	size_t len = 0;

	for (; is_one_of(peek(r, 0), set); advance(r, 1))
		if (!add_char(*r->at, &len, ret))
			return false;
	return len > 0;
}

static bool
is_word_in(const char *word, const char *const words[])
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static void
skip_to_line_end(struct ekeyd_reader *r)
{
	while (r->at < r->end && *r->at != '\n')
		advance(r, 1);
}

/* Passes a quoted text, to its end or the end of all. */
static void
skip_quoted(struct ekeyd_reader *r, bool escapes)
{
	char quote = *r->at;

	for (advance(r, 1); r->at < r->end && *r->at != quote; advance(r, 1))
		if (escapes && *r->at == '\\')
			advance(r, 1);
	advance(r, 1);
}

/* ---- statements that are not understood ---- */

/* How deep a place is in blocks and in brackets. */
struct nesting {
	unsigned blocks, brackets;
};

static void
nest(unsigned *depth, bool opens, bool closes)
{
	if (opens)
		++*depth;
	else if (closes && *depth > 0)
		--*depth;
}

/* Passes one character that is in no word, or one word. */
static void
skip_token(struct ekeyd_reader *r, struct nesting *in, const char *const openers[],
	   const char *const closers[])
{
	char word[EKEYD_ARG_MAX];

	if (!is_one_of(*r->at, LETTERS)) {
		nest(&in->brackets, is_one_of(*r->at, "({["), is_one_of(*r->at, ")}]"));
		advance(r, 1);
	} else if (take_word(r, LETTERS, word)) {
		nest(&in->blocks, is_word_in(word, openers), is_word_in(word, closers));
	}
}

/* Passes the rest of a statement: to the end of the line in which its last block ends. */
static enum ekeyd_found
skip_statement(struct ekeyd_reader *r, void (*skip)(struct ekeyd_reader *, struct nesting *),
	       struct ekeyd_line *ret)
{
	struct nesting in = {0};

	while (r->at < r->end && (*r->at != '\n' || in.blocks > 0 || in.brackets > 0))
		skip(r, &in);
	ret->last = r->number - (r->at == r->end && r->at[-1] == '\n');
	return EKEYD_STRANGE;
}

/* ---- Lua ---- */

/* The length of "[[", "[=[" ... that stands `ahead`; 0: none does. */
static size_t
long_bracket(const struct ekeyd_reader *r, size_t ahead)
{
	size_t len = 1;

	if (peek(r, ahead) != '[')
		return 0;
	while (peek(r, ahead + len) == '=')
		len++;
	return peek(r, ahead + len) == '[' ? len + 1 : 0;
}

/* Whether "]]", "]=]" ... of this length stands here. */
static bool
at_long_end(const struct ekeyd_reader *r, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (peek(r, i) != (i == 0 || i == len - 1 ? ']' : '='))
			return false;
	return true;
}

/* Passes "[[...]]"; false at the end of all. */
static bool
skip_long(struct ekeyd_reader *r)
{
	size_t len = long_bracket(r, 0);

	for (advance(r, len); r->at < r->end; advance(r, 1)) {
		if (at_long_end(r, len)) {
			advance(r, len);
			return true;
		}
	}
	return false;
}

/* Passes a comment, "--..." or "--[[...]]"; false where there is none, or no end of it. */
static bool
skip_lua_comment(struct ekeyd_reader *r)
{
	struct ekeyd_reader begun = *r;

	if (peek(r, 0) != '-' || peek(r, 1) != '-')
		return false;
	advance(r, 2);
	if (long_bracket(r, 0) == 0)
		skip_to_line_end(r);
	else if (!skip_long(r))
		*r = begun;
	return r->at > begun.at;
}

static void
skip_lua_blanks(struct ekeyd_reader *r)
{
	for (;;) {
		if (is_one_of(peek(r, 0), BLANKS "\n\f\v"))
			advance(r, 1);
		else if (!skip_lua_comment(r))
			return;
	}
}

static void
skip_lua_token(struct ekeyd_reader *r, struct nesting *in)
{
	static const char *const openers[] = {"do", "function", "if", "repeat", NULL};
	static const char *const closers[] = {"end", "until", NULL};

	if (is_one_of(*r->at, "\"'"))
		skip_quoted(r, true);
	else if (*r->at == '-' && peek(r, 1) == '-' && long_bracket(r, 2) == 0)
		skip_to_line_end(r);
	else if (long_bracket(r, 0) > 0)
		(void)skip_long(r);
	else
		skip_token(r, in, openers, closers);
}

/* Takes a string between quotes of one kind or the other, without escapes. */
static bool
take_lua_quoted(struct ekeyd_reader *r, char ret[static EKEYD_ARG_MAX])
{
	char quote = *r->at;
	size_t len = 0;

	for (advance(r, 1); r->at < r->end && *r->at != quote; advance(r, 1))
		if (*r->at == '\\' || !add_char(*r->at, &len, ret))
			return false;
	return take_char(r, quote);
}

static bool
take_lua_long(struct ekeyd_reader *r, char ret[static EKEYD_ARG_MAX])
{
	size_t bracket = long_bracket(r, 0), len = 0;

	for (advance(r, bracket); r->at < r->end; advance(r, 1)) {
		if (at_long_end(r, bracket)) {
			advance(r, bracket);
			return true;
		}
		if (!add_char(*r->at, &len, ret))
			return false;
	}
	return false;
}

static bool
take_lua_string(struct ekeyd_reader *r, char ret[static EKEYD_ARG_MAX])
{
	ret[0] = '\0';
	if (is_one_of(peek(r, 0), "\"'"))
		return take_lua_quoted(r, ret);
	return long_bracket(r, 0) > 0 && take_lua_long(r, ret);
}

/* Takes a string, a number or a constant; nil is an empty string. */
static bool
take_lua_value(struct ekeyd_reader *r, char ret[static EKEYD_ARG_MAX])
{
	static const char *const constants[] = {"true", "false", "nil", NULL};

	if (take_lua_string(r, ret))
		return true;
	if (!take_word(r, LETTERS ".", ret))
		return false;
	if (strcmp(ret, "nil") == 0)
		ret[0] = '\0';
	return ret[0] == '\0' || is_one_of(ret[0], DIGITS) || is_word_in(ret, constants);
}

/* Takes "A, B)". */
static bool
take_lua_args(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	skip_lua_blanks(r);
	if (take_char(r, ')'))
		return true;
	while (ret->count < EKEYD_ARGS_MAX) {
		skip_lua_blanks(r);
		if (!take_lua_value(r, ret->args[ret->count]))
			return false;
		ret->count++;
		skip_lua_blanks(r);
		if (take_char(r, ')'))
			return true;
		if (!take_char(r, ','))
			return false;
	}
	return false;
}

/* Takes a whole call: what follows is the end, a semicolon or the name that begins another. */
static bool
take_lua_call(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	static const char *const keywords[] = {
		"and",   "break", "do", "else",   "elseif", "end",  "for",   "function", "if", "in",
		"local", "not",   "or", "repeat", "return", "then", "until", "while",    NULL};

	if (is_one_of(peek(r, 0), DIGITS) || !take_word(r, LETTERS, ret->name) ||
	    is_word_in(ret->name, keywords))
		return false;
	skip_lua_blanks(r);
	if (take_char(r, '(')) {
		if (!take_lua_args(r, ret))
			return false;
	} else {
		if (!take_lua_string(r, ret->args[0]))
			return false;
		ret->count = 1;
	}
	ret->last = r->number;
	skip_lua_blanks(r);
	return take_char(r, ';') || r->at == r->end || is_one_of(*r->at, LETTERS);
}

/* ---- shell ---- */

/* Blanks between words; a backslash goes on in the next line. */
static void
skip_shell_blanks(struct ekeyd_reader *r)
{
	for (;;) {
		if (is_one_of(peek(r, 0), BLANKS))
			advance(r, 1);
		else if (peek(r, 0) == '\\' && peek(r, 1) == '\n')
			advance(r, 2);
		else
			return;
	}
}

/* Passes what may stand between two commands. */
static void
skip_shell_gap(struct ekeyd_reader *r)
{
	for (;;) {
		skip_shell_blanks(r);
		if (peek(r, 0) == '#')
			skip_to_line_end(r);
		else if (is_one_of(peek(r, 0), "\n;"))
			advance(r, 1);
		else
			return;
	}
}

static bool
at_shell_end(const struct ekeyd_reader *r)
{
	return r->at == r->end || is_one_of(*r->at, "\n;#");
}

static void
skip_shell_token(struct ekeyd_reader *r, struct nesting *in)
{
	static const char *const openers[] = {"case", "do", "if", NULL};
	static const char *const closers[] = {"done", "esac", "fi", NULL};

	if (is_one_of(*r->at, "\"'`"))
		skip_quoted(r, *r->at != '\'');
	else if (*r->at == '\\')
		advance(r, 2);
	else if (is_one_of(*r->at, BLANKS "\n;") && peek(r, 1) == '#')
		advance(r, 1), skip_to_line_end(r);
	else if (*r->at == '<' && peek(r, 1) == '<')
		advance(r,
			(size_t)(r->end - r->at)); /* a here-document: its end is not looked for */
	else
		skip_token(r, in, openers, closers);
}

/* Takes what stands between quotes, if the shell would put nothing in its place. */
static bool
take_shell_quoted(struct ekeyd_reader *r, size_t *len, char ret[static EKEYD_ARG_MAX])
{
	char quote = *r->at;

	for (advance(r, 1); r->at < r->end && *r->at != quote; advance(r, 1)) {
		if (quote == '"' && is_one_of(*r->at, "$`"))
			return false;
		if (quote == '"' && *r->at == '\\' && is_one_of(peek(r, 1), "$`\"\\"))
			advance(r, 1);
		if (!add_char(*r->at, len, ret))
			return false;
	}
	return take_char(r, quote);
}

/* Takes one word, the pieces of which may be quoted. */
static bool
take_shell_word(struct ekeyd_reader *r, char ret[static EKEYD_ARG_MAX])
{
	size_t len = 0;

	ret[0] = '\0';
	while (r->at < r->end && !is_one_of(*r->at, BLANKS "\n;")) {
		if (is_one_of(*r->at, "\"'")) {
			if (!take_shell_quoted(r, &len, ret))
				return false;
			continue;
		}
		if (is_one_of(*r->at, "$`()&|<>~"))
			return false;
		if (take_char(r, '\\') && take_char(r, '\n'))
			continue;
		if (r->at == r->end || !add_char(*r->at, &len, ret))
			return false;
		advance(r, 1);
	}
	return true;
}

static bool
take_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	ret->count = 1;
	return !is_one_of(peek(r, 0), DIGITS) && take_word(r, LETTERS, ret->name) &&
	       take_char(r, '=') && take_shell_word(r, ret->args[0]);
}

/* Whether up to the end of the command there are assignments only: else they are its own. */
static bool
are_assignments(struct ekeyd_reader r)
{
	struct ekeyd_line line;

	for (; !at_shell_end(&r); skip_shell_blanks(&r))
		if (!take_assignment(&r, &line))
			return false;
	return true;
}

/* Passes "export" or "readonly", which change nothing for who reads the file. */
static void
skip_export(struct ekeyd_reader *r)
{
	static const char *const words[] = {"export", "readonly", NULL};
	struct ekeyd_reader begun = *r;
	char word[EKEYD_ARG_MAX];

	if (take_word(r, LETTERS, word) && is_word_in(word, words) && is_one_of(peek(r, 0), BLANKS))
		skip_shell_blanks(r);
	else
		*r = begun;
}

static bool
take_shell_command(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	skip_export(r);
	if (!are_assignments(*r) || !take_assignment(r, ret))
		return false;
	ret->last = r->number;
	return true;
}

/* ---- both ---- */

void
ekeyd_reader_init(struct ekeyd_reader *r, const char *text, size_t len)
{
	*r = (struct ekeyd_reader){.at = text, .end = text + len, .number = 1};
}

enum ekeyd_found
ekeyd_next_call(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	struct ekeyd_reader begun;

	if (r->number == 1 && peek(r, 0) == '#')
		skip_to_line_end(r); /* as Lua does, for "#!" */
	do
		skip_lua_blanks(r);
	while (take_char(r, ';'));
	*ret = (struct ekeyd_line){.number = r->number};
	if (r->at == r->end)
		return EKEYD_END;
	begun = *r;
	if (take_lua_call(r, ret))
		return EKEYD_LINE;
	*r = begun;
	return skip_statement(r, skip_lua_token, ret);
}

enum ekeyd_found
ekeyd_next_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	struct ekeyd_reader begun;

	skip_shell_gap(r);
	*ret = (struct ekeyd_line){.number = r->number};
	if (r->at == r->end)
		return EKEYD_END;
	begun = *r;
	if (take_shell_command(r, ret))
		return EKEYD_LINE;
	*r = begun;
	return skip_statement(r, skip_shell_token, ret);
}
