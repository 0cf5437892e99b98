/* SPDX-License-Identifier: MIT */
#include "daemon/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "lib/log.h"
#include "lib/secret.h"

/* Permission bits that a keyring must not have. Its group, the daemon's, may read it. */
#define KEYRING_MODE_BAD 0037

bool
files_are_together(const char *a, const char *b)
{
	size_t len = (size_t)(strrchr(a, '/') - a) + 1;

	return strncmp(a, b, len) == 0 && strchr(b + len, '/') == NULL;
}

int
files_look_for(const char *directory)
{
	struct stat st;

	if (stat(directory, &st) != 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

bool
files_read_config(const char *path, struct config *ret)
{
	struct config_errors errors;
	struct file_text file;
	int result = file_read(path, CONFIG_FILE_MAX, &file);
	bool good;

	if (result < 0) {
		log_err("%s: %s", path, file_error_text(-result));
		return false;
	}
	good = config_parse(file.text, file.len, ret, &errors);
	file_finish(&file);
	if (good)
		return true;
	for (size_t i = 0; i < errors.count && i < CONFIG_ERRORS_MAX; i++)
		log_err("%s:%u: %s", path, errors.at[i].line, errors.at[i].text);
	if (errors.count > CONFIG_ERRORS_MAX)
		log_err("%s: and %zu more errors", path, errors.count - CONFIG_ERRORS_MAX);
	return false;
}

/* A bad line costs its key only. */
static void
files_parse_keyring(const char *path, const struct file_text *file, struct keyring *ret)
{
	struct keyring_errors errors;

	if ((file->mode & KEYRING_MODE_BAD) != 0)
		log_warn("%s: mode %04o lets others read or change the keys: chmod 0640 it", path,
			 (unsigned)file->mode);
	(void)keyring_parse(file->text, file->len, ret, &errors);
	for (size_t i = 0; i < errors.count && i < KEYRING_ERRORS_MAX; i++)
		log_warn("%s:%u: %s%s", path, errors.at[i].line, errors.at[i].why,
			 errors.at[i].ignored ? "; the line is ignored" : "");
	if (errors.count > KEYRING_ERRORS_MAX)
		log_warn("%s: and %zu more lines like these", path,
			 errors.count - KEYRING_ERRORS_MAX);
	log_info("%s: %zu long-term key%s", path, ret->len, ret->len == 1 ? "" : "s");
}

static bool
has_keys(const struct config *config)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (source_type_needs_keyring(config->sources[i].type))
			return true;
	return false;
}

struct keyring *
files_read_keyring(const struct config *config)
{
	const char *path = config->keyring;
	struct keyring *ring = secret_new(sizeof(*ring));
	struct file_text file;
	int result = ring != NULL ? file_read(path, KEYRING_FILE_MAX, &file) : -ENOMEM;

	if (result == -ENOENT) {
		if (has_keys(config))
			log_warn("%s: no keyring yet, so no key can be used: copy"
				 " /etc/entropykey/keyring and reload, or make one: ekeyctl rekey"
				 " SERIAL",
				 path);
		return ring;
	}
	if (result < 0) {
		log_err("%s: %s", path, file_error_text(-result));
		files_free_keyring(&ring);
		return NULL;
	}
	files_parse_keyring(path, &file, ring);
	file_finish(&file);
	return ring;
}

void
files_free_keyring(struct keyring **ring)
{
	secret_free(*ring, sizeof(**ring));
	*ring = NULL;
}
