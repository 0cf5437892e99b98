/* SPDX-License-Identifier: MIT */
#include "daemon/ekeyctl/ekeyd_conf.h"

#include <stdbool.h>
#include <string.h>

#define DIGITS "0123456789"
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" DIGITS
#define BLANKS " \t\r\n"
#define TOKEN_MAX (2 * EKEYD_ARG_MAX) /* "NAME=VALUE" */

struct token {
	enum { END, WORD, STRING, SYMBOL } kind;
	bool first; /* a newline stands before it */
	bool plain; /* `text` is its value: without expansions and control characters, not cut */
	const char *at;        /* in the text that is read */
	unsigned number, last; /* its lines */
	size_t len;
	char text[TOKEN_MAX];
};

struct language {
	const char *const *openers, *const *closers; /* words that begin and end a block */
	/* Skips a blank or a comment; false where there is none. Sets *first at a newline. */
	bool (*skip_gap)(struct ekeyd_reader *r, bool *first);
	/* Takes at least one character. */
	void (*take_token)(struct ekeyd_reader *r, struct token *t);
	bool (*take_statement)(struct ekeyd_reader *r, struct ekeyd_line *ret);
};

/* ---- characters ---- */

/* Returns NUL behind the end of the text. */
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

static bool
is_word_in(const char *word, const char *const words[])
{
	while (*words != NULL && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

static void
advance(struct ekeyd_reader *r, size_t n)
{
	for (; n > 0 && r->at < r->end; n--)
		r->number += *r->at++ == '\n';
}

static void
skip_to_line_end(struct ekeyd_reader *r)
{
	while (r->at < r->end && *r->at != '\n')
		advance(r, 1);
}

/* Takes one character into the token. */
static void
take_char(struct ekeyd_reader *r, struct token *t)
{
	char c = peek(r, 0);

	if (t->len + 1 == sizeof(t->text) || (unsigned char)c < ' ' || c == 0x7f)
		t->plain = false;
	else
		t->text[t->len++] = c;
	advance(r, 1);
}

/*
 * Takes a quoted text. With a character of `live` in it the language would change the text, so that
 * it is not plain; a backslash before one of `escaped` is dropped.
 */
static void
take_quoted(struct ekeyd_reader *r, struct token *t, const char *live, const char *escaped)
{
	char quote = *r->at;

	for (advance(r, 1); r->at < r->end && *r->at != quote; take_char(r, t)) {
		t->plain = t->plain && !is_one_of(*r->at, live);
		if (*r->at == '\\' && is_one_of(peek(r, 1), escaped))
			advance(r, 1);
	}
	t->plain = t->plain && r->at < r->end;
	advance(r, 1);
}

/* ---- tokens and statements of both languages ---- */

static struct token
next_token(struct ekeyd_reader *r, const struct language *language)
{
	struct token t = {.kind = END, .plain = true};

	while (language->skip_gap(r, &t.first))
		;
	t.at = r->at;
	t.number = t.last = r->number;
	if (r->at == r->end)
		return t;
	language->take_token(r, &t);
	t.last = r->number - (r->at[-1] == '\n');
	return t;
}

static bool
is_symbol(const struct token *t, char c)
{
	return t->kind == SYMBOL && t->text[0] == c;
}

static bool
copy_value(const char *text, char ret[static EKEYD_ARG_MAX])
{
	size_t len = strlen(text);

	if (len < EKEYD_ARG_MAX)
		memcpy(ret, text, len + 1);
	return len < EKEYD_ARG_MAX;
}

static void
nest(unsigned *depth, bool opens, bool closes)
{
	if (opens)
		++*depth;
	else if (closes && *depth > 0)
		--*depth;
}

/* Skips a statement that is not understood, to the end of the line in which its last block ends. */
static void
skip_statement(struct ekeyd_reader *r, const struct language *language, struct ekeyd_line *ret)
{
	unsigned blocks = 0, brackets = 0;

	for (;;) {
		struct ekeyd_reader before = *r;
		struct token t = next_token(r, language);

		if (t.kind == END || (t.first && blocks == 0 && brackets == 0)) {
			*r = before;
			return;
		}
		ret->last = t.last;
		if (t.kind == WORD)
			nest(&blocks, is_word_in(t.text, language->openers),
			     is_word_in(t.text, language->closers));
		else if (t.kind == SYMBOL)
			nest(&brackets, is_one_of(t.text[0], "({["), is_one_of(t.text[0], ")}]"));
	}
}

static enum ekeyd_found
next_statement(struct ekeyd_reader *r, const struct language *language, struct ekeyd_line *ret)
{
	struct ekeyd_reader begun;
	struct token t;

	do
		t = next_token(r, language);
	while (is_symbol(&t, ';'));
	*ret = (struct ekeyd_line){.number = t.number, .last = t.last};
	if (t.kind == END)
		return EKEYD_END;
	begun = (struct ekeyd_reader){.at = t.at, .end = r->end, .number = t.number};
	*r = begun;
	if (language->take_statement(r, ret))
		return EKEYD_LINE;
	*r = begun;
	skip_statement(r, language, ret);
	return EKEYD_STRANGE;
}

/* ---- Lua ---- */

static const struct language lua;

/* Returns the length of "[[", "[=[" ...; 0: none stands here. */
static size_t
long_bracket(const struct ekeyd_reader *r)
{
	size_t len = 1;

	if (peek(r, 0) != '[')
		return 0;
	while (peek(r, len) == '=')
		len++;
	return peek(r, len) == '[' ? len + 1 : 0;
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

/* Takes "[[...]]"; false when it does not end. */
static bool
take_long(struct ekeyd_reader *r, struct token *t)
{
	size_t len = long_bracket(r);

	for (advance(r, len); r->at < r->end && !at_long_end(r, len);)
		take_char(r, t);
	if (r->at == r->end)
		return false;
	advance(r, len);
	return true;
}

/* A block comment without its end is no comment. */
static bool
skip_lua_gap(struct ekeyd_reader *r, bool *first)
{
	struct ekeyd_reader begun = *r;
	struct token comment = {.plain = true};

	if (is_one_of(peek(r, 0), BLANKS "\f\v")) {
		*first = *first || *r->at == '\n';
		advance(r, 1);
		return true;
	}
	if (peek(r, 0) != '-' || peek(r, 1) != '-')
		return false;
	advance(r, 2);
	if (long_bracket(r) == 0) {
		skip_to_line_end(r);
		return true;
	}
	if (take_long(r, &comment))
		return true;
	*r = begun;
	return false;
}

static void
take_lua_token(struct ekeyd_reader *r, struct token *t)
{
	const char *set = is_one_of(*r->at, DIGITS) ? NAME_CHARS "." : NAME_CHARS;

	t->kind = STRING;
	if (is_one_of(*r->at, "\"'")) {
		take_quoted(r, t, "\\", "\"'\\");
	} else if (long_bracket(r) > 0) {
		t->plain = take_long(r, t) && t->plain;
	} else {
		t->kind = is_one_of(*r->at, set) ? WORD : SYMBOL;
		do
			take_char(r, t);
		while (t->kind == WORD && is_one_of(peek(r, 0), set));
	}
}

/* Adds a string, a number or a constant; nil is an empty string. */
static bool
add_value(struct ekeyd_line *line, const struct token *t)
{
	static const char *const constants[] = {"true", "false", "nil", NULL};
	bool nil = t->kind == WORD && strcmp(t->text, "nil") == 0;

	if (t->kind == WORD && !is_one_of(t->text[0], DIGITS) && !is_word_in(t->text, constants))
		return false;
	return t->plain && (t->kind == STRING || t->kind == WORD) && line->count < EKEYD_ARGS_MAX &&
	       copy_value(nil ? "" : t->text, line->args[line->count++]);
}

/* Takes "A, B)". */
static bool
take_args(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	struct token t = next_token(r, &lua);

	if (is_symbol(&t, ')'))
		return true;
	while (add_value(ret, &t)) {
		t = next_token(r, &lua);
		if (is_symbol(&t, ')'))
			return true;
		if (!is_symbol(&t, ','))
			return false;
		t = next_token(r, &lua);
	}
	return false;
}

/* Takes a whole call: the end, a semicolon or the name of the next call must follow. */
static bool
take_call(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	static const char *const keywords[] = {
		"and",   "break", "do", "else",   "elseif", "end",  "for",   "function", "if", "in",
		"local", "not",   "or", "repeat", "return", "then", "until", "while",    NULL};
	struct token t = next_token(r, &lua);
	struct ekeyd_reader after;

	if (t.kind != WORD || is_one_of(t.text[0], DIGITS) || is_word_in(t.text, keywords) ||
	    !copy_value(t.text, ret->name))
		return false;
	t = next_token(r, &lua);
	if (is_symbol(&t, '(') ? !take_args(r, ret) : t.kind != STRING || !add_value(ret, &t))
		return false;
	ret->last = r->number;
	after = *r;
	t = next_token(r, &lua);
	*r = after;
	return t.kind == END || t.kind == WORD || is_symbol(&t, ';');
}

static const struct language lua = {
	.openers = (const char *const[]){"do", "function", "if", "repeat", NULL},
	.closers = (const char *const[]){"end", "until", NULL},
	.skip_gap = skip_lua_gap,
	.take_token = take_lua_token,
	.take_statement = take_call,
};

/* ---- shell ---- */

static const struct language shell;

#define SHELL_SYMBOLS ";()&|<>"

/* A backslash at the end of a line continues it. */
static bool
skip_shell_gap(struct ekeyd_reader *r, bool *first)
{
	if (peek(r, 0) == '#') {
		skip_to_line_end(r);
		return true;
	}
	if (peek(r, 0) == '\\' && peek(r, 1) == '\n') {
		advance(r, 2);
		return true;
	}
	if (!is_one_of(peek(r, 0), BLANKS))
		return false;
	*first = *first || *r->at == '\n';
	advance(r, 1);
	return true;
}

/* Takes one piece of a word. */
static void
take_piece(struct ekeyd_reader *r, struct token *t)
{
	if (*r->at == '\'') {
		take_quoted(r, t, "", "");
	} else if (is_one_of(*r->at, "\"`")) {
		t->plain = t->plain && *r->at == '"';
		take_quoted(r, t, "$`", "$`\"\\");
	} else if (*r->at == '\\' && peek(r, 1) == '\n') {
		advance(r, 2);
	} else {
		t->plain = t->plain && !is_one_of(*r->at, "$~");
		if (*r->at == '\\')
			advance(r, 1);
		take_char(r, t);
	}
}

/* A here-document is taken to reach to the end of the text. */
static void
take_shell_token(struct ekeyd_reader *r, struct token *t)
{
	t->kind = is_one_of(*r->at, SHELL_SYMBOLS) ? SYMBOL : WORD;
	if (t->kind == SYMBOL) {
		take_char(r, t);
		if (t->text[0] == '<' && peek(r, 0) == '<')
			advance(r, (size_t)(r->end - r->at));
	}
	while (t->kind == WORD && r->at < r->end && !is_one_of(*r->at, BLANKS SHELL_SYMBOLS))
		take_piece(r, t);
}

/* Returns the length of the name in "NAME=VALUE", 0 for another token. */
static size_t
assigned_name(const struct token *t)
{
	size_t len = strspn(t->text, NAME_CHARS);
	bool assigned = t->kind == WORD && t->plain && !is_one_of(t->text[0], DIGITS) &&
			t->text[len] == '=' && memcmp(t->at, t->text, len + 1) == 0;

	return assigned ? len : 0;
}

/* Takes one assignment. Assignments before a command are refused: they last as long as it. */
static bool
take_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	static const char *const exports[] = {"export", "readonly", NULL};
	struct token t = next_token(r, &shell);
	struct ekeyd_reader after;
	size_t len;

	if (t.kind == WORD && is_word_in(t.text, exports)) {
		t = next_token(r, &shell);
		if (t.first)
			return false;
	}
	len = assigned_name(&t);
	if (len == 0 || !copy_value(t.text + len + 1, ret->args[0]))
		return false;
	t.text[len] = '\0';
	if (!copy_value(t.text, ret->name))
		return false;
	ret->count = 1;
	ret->last = t.last;
	after = *r;
	do
		t = next_token(r, &shell);
	while (!t.first && assigned_name(&t) > 0);
	*r = after;
	return t.kind == END || t.first || is_symbol(&t, ';');
}

static const struct language shell = {
	.openers = (const char *const[]){"case", "do", "if", "{", NULL},
	.closers = (const char *const[]){"done", "esac", "fi", "}", NULL},
	.skip_gap = skip_shell_gap,
	.take_token = take_shell_token,
	.take_statement = take_assignment,
};

/* ---- both ---- */

void
ekeyd_reader_init(struct ekeyd_reader *r, const char *text, size_t len)
{
	*r = (struct ekeyd_reader){.at = text, .end = text + len, .number = 1};
}

enum ekeyd_found
ekeyd_next_call(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	if (r->number == 1 && peek(r, 0) == '#')
		skip_to_line_end(r); /* Lua skips "#!" */
	return next_statement(r, &lua, ret);
}

enum ekeyd_found
ekeyd_next_assignment(struct ekeyd_reader *r, struct ekeyd_line *ret)
{
	return next_statement(r, &shell, ret);
}
