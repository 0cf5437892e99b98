/* SPDX-License-Identifier: MIT */
#include "egd/tls/sections.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/log.h"
#include "lib/priv/sandbox.h"

/* ---- directories ---- */

/* Adds one, unless this process is sealed. False: it cannot be read. */
static bool
may_read(struct sections *s, const char *directory)
{
	for (size_t i = 0; i < SECTIONS_DIRECTORIES; i++) {
		if (s->directories[i][0] == '\0' && !s->sealed)
			snprintf(s->directories[i], sizeof(s->directories[i]), "%s", directory);
		if (strcmp(s->directories[i], directory) == 0)
			return true;
	}
	return false;
}

/* False: a file is in a directory that exists and cannot be read. Links are followed. */
static bool
may_read_files(struct sections *s, const struct tls_files *files)
{
	const char *const paths[] = {files->psk, files->cert, files->key, files->ca};
	char real[PATH_MAX], directory[TLS_PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i][0] == '\0')
			continue;
		file_directory(realpath(paths[i], real) != NULL ? real : paths[i], directory,
			       sizeof(directory));
		if (stat(directory, &st) == 0 && !may_read(s, directory))
			return false;
	}
	return true;
}

/* A directory that does not exist, or is not ours to search, has no file to be read. */
static int
allow(int ruleset, const char *directory)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
	long result;

	rule.parent_fd = open(directory, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (result != 0)
		result = -errno;
	close(rule.parent_fd);
	return (int)result;
}

/* All rights of Landlock's first version are handled; the later ones concern no act of ours. */
static int
confine_files(const struct sections *s)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs =
							   LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	int result = 0;

	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; result == 0 && i < SECTIONS_DIRECTORIES; i++)
		if (s->directories[i][0] != '\0')
			result = allow(ruleset, s->directories[i]);
	if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		result = -errno;
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		result = -errno;
	close(ruleset);
	return result;
}

/* No socket is made, bound or connected here: the daemon passes all sockets. */
static const struct sandbox_call calls[] = {
	/* stat() and the like: files are read again, and links in their paths are followed. */
	{.name = "epoll_ctl epoll_pwait epoll_pwait2 epoll_wait lstat mlock2 munlock newfstatat"
		 " readlink recvfrom recvmsg sendmsg sendto shutdown stat"},
	SANDBOX_ONLY("fcntl", 2, F_GETFL),
	SANDBOX_ONLY("fcntl", 2, F_SETFL),
	SANDBOX_OPEN_TO_READ,
	{.name = NULL},
};

/* A call that some version of OpenSSL tries beyond these fails, and does not end the process. */
static const struct sandbox sandbox = {.calls = calls, .refusal = SANDBOX_EPERM};

bool
sections_seal(struct sections *s)
{
	int result;

	if (s->sealed)
		return true;
	result = confine_files(s);
	if (result == -ENOSYS || result == -EOPNOTSUPP) {
		log_info("this kernel has no Landlock: only the modes of files limit what"
			 " ekey-tls can read");
	} else if (result < 0) {
		log_err("Landlock: %s", strerror(-result));
		return false;
	}
	result = sandbox_enter(&sandbox);
	if (result < 0)
		log_err("the filter for system calls: %s", strerror(-result));
	s->sealed = result == 0;
	return s->sealed;
}

/* ---- keys ---- */

static const char *
given(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

struct tls_context *
sections_read(const struct tls_keys *keys, const char *peer_name, char error[static TLS_ERROR_MAX])
{
	const struct tls_config config = {.server = keys->server != 0,
					  .psk = given(keys->files.psk),
					  .identity = given(keys->files.identity),
					  .cert = given(keys->files.cert),
					  .key = given(keys->files.key),
					  .ca = given(keys->files.ca),
					  .peer_name = peer_name};

	return tls_context_new(&config, error);
}

struct section *
sections_find(struct sections *s, const char *name)
{
	for (size_t i = 0; i < TLS_SECTIONS_MAX; i++)
		if (strcmp(s->at[i].keys.section, name) == 0)
			return &s->at[i];
	return NULL;
}

static void
put_words(const char *words, struct tls_answer *ret)
{
	for (size_t i = 0; words[i] != '\0' && i < TLS_WORDS_MAX - 1; i++)
		ret->words[i] = words[i] < ' ' || words[i] > '~' ? '?' : words[i];
}

struct section *
sections_load(struct sections *s, const struct tls_keys *keys, struct tls_answer *ret)
{
	struct section *section = sections_find(s, keys->section);
	char error[TLS_ERROR_MAX] = "too many sections have keys";
	struct tls_context *context = NULL;
	const char *warning;

	if (section == NULL)
		section = sections_find(s, "");
	*ret = (struct tls_answer){.result = may_read_files(s, &keys->files) ? -EINVAL : -EXDEV};
	if (section != NULL && ret->result != -EXDEV) {
		context = sections_read(keys, "any", error);
		section->named = true;
		ret->kept = context == NULL && section->context != NULL;
		if (!ret->kept)
			section->keys = *keys;
	}
	if (context == NULL) {
		put_words(error, ret);
		return NULL;
	}
	ret->result = 0;
	warning = tls_context_warning(context);
	put_words(warning != NULL ? warning : "", ret);
	if (keys->server) {
		tls_context_free(&section->context);
		section->context = context;
		return section;
	}
	tls_context_free(&context);
	return NULL;
}

void
section_finish(struct section *section)
{
	tls_context_free(&section->context);
	*section = (struct section){0};
}
