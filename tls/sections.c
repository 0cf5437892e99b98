/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tls/confine.h"
#include "tls/service.h"

/* ---- the directories that may be read ---- */

/* The directory that a file is in, links followed as far as it is there. */
static void
directory_of(const char *path, char ret[static TLS_PATH_MAX])
{
	char real[PATH_MAX];

	file_directory(realpath(path, real) != NULL ? real : path, ret, TLS_PATH_MAX);
}

/* False: it is not one of them, and there is no adding to them any more. */
static bool
may_read(struct service *s, const char *directory)
{
	for (size_t i = 0; i < CONFINE_DIRECTORIES; i++) {
		if (s->directories[i][0] == '\0' && !s->sealed)
			snprintf(s->directories[i], sizeof(s->directories[i]), "%s", directory);
		if (strcmp(s->directories[i], directory) == 0)
			return true;
	}
	return false;
}

/* True for all but a directory that is there and was not when they were fixed. */
static bool
may_read_files(struct service *s, const struct tls_keys *keys)
{
	const char *const paths[] = {keys->psk, keys->cert, keys->key, keys->ca};
	char directory[TLS_PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i][0] == '\0')
			continue;
		directory_of(paths[i], directory);
		if (stat(directory, &st) == 0 && !may_read(s, directory))
			return false;
	}
	return true;
}

/* ---- keys ---- */

static const char *
given(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* NULL with why in `error`. */
static struct tls_context *
read_files(const struct tls_keys *keys, const char *peer_name, char error[static TLS_ERROR_MAX])
{
	const struct tls_config config = {.server = keys->server != 0,
					  .psk = given(keys->psk),
					  .identity = given(keys->identity),
					  .cert = given(keys->cert),
					  .key = given(keys->key),
					  .ca = given(keys->ca),
					  .peer_name = peer_name};

	return tls_context_new(&config, error, TLS_ERROR_MAX);
}

struct section *
sections_find(struct service *s, const char *name)
{
	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++)
		if (strcmp(s->sections[i].keys.section, name) == 0)
			return &s->sections[i];
	return NULL;
}

/* Those by a key that is gone, and those that are at it, by whatever key. */
static void
end_revoked(struct service *s, const struct section *section)
{
	struct connection *c = LIST_FIRST(&s->all);

	while (c != NULL) {
		struct connection *next = LIST_NEXT(c, in_all);

		if (c->section == section && c->stage == STAGE_SHAKING)
			handshakes_refuse(c, "the keys have changed");
		else if (c->section == section && c->stage == STAGE_OPEN &&
			 tls_is_revoked(c->tls, section->context))
			handshakes_free(c, true);
		c = next;
	}
}

/* A client's files are read anew for each connection: here they are only looked at. */
static void
take_context(struct service *s, struct section *section, struct tls_context *context)
{
	if (!section->keys.server) {
		tls_context_free(&context);
		return;
	}
	tls_context_free(&section->context);
	section->context = context;
	end_revoked(s, section);
}

static void
put_words(const char *words, char ret[static TLS_WORDS_MAX])
{
	size_t i = 0;

	for (; words[i] != '\0' && i < TLS_WORDS_MAX - 1; i++)
		ret[i] = words[i] < ' ' || words[i] > '~' ? '?' : words[i];
}

void
sections_load(struct service *s, const struct tls_keys *keys, struct tls_answer *ret)
{
	struct section *section = sections_find(s, keys->section);
	struct tls_context *context = NULL;
	char words[TLS_ERROR_MAX] = "too many sections have keys";
	bool allowed = may_read_files(s, keys);

	*ret = (struct tls_answer){.result = allowed ? -EINVAL : -EXDEV};
	if (section == NULL)
		section = sections_find(s, "");
	if (section != NULL && allowed)
		context = read_files(keys, "any", words);
	if (section != NULL && (context != NULL || section->context == NULL))
		section->keys = *keys;
	if (section != NULL) {
		section->named = true;
		ret->kept = context == NULL && section->context != NULL;
	}
	if (context != NULL) {
		const char *warning = tls_context_warning(context);

		ret->result = 0;
		snprintf(words, sizeof(words), "%s", warning != NULL ? warning : "");
		take_context(s, section, context);
	}
	put_words(words, ret->words);
}

struct tls_context *
sections_client_context(const struct connection *c, char error[static TLS_ERROR_MAX])
{
	return read_files(&c->section->keys, c->peer_name, error);
}

/* ---- all of them ---- */

static void
discard(struct service *s, struct section *section)
{
	struct connection *c = LIST_FIRST(&s->all);

	while (c != NULL) {
		struct connection *next = LIST_NEXT(c, in_all);

		if (c->section == section)
			handshakes_free(c, true);
		c = next;
	}
	tls_context_free(&section->context);
	*section = (struct section){0};
}

bool
sections_end(struct service *s)
{
	bool good = s->sealed || confine(s->directories);

	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++) {
		if (!s->sections[i].named)
			discard(s, &s->sections[i]);
		s->sections[i].named = false;
	}
	s->sealed = true;
	return good;
}

void
sections_finish(struct service *s)
{
	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++)
		discard(s, &s->sections[i]);
}
