/* SPDX-License-Identifier: MIT */
#include "tests/bench/ring.h"

#include <err.h>

#include "lib/file.h"
#include "lib/secret.h"

struct keyring *
ring_load(const char *path)
{
	struct keyring *ring = secret_new(sizeof(*ring));
	struct keyring_errors errors;
	struct file_text file;

	if (ring == NULL || file_read(path, KEYRING_FILE_MAX, &file) != 0)
		errx(1, "cannot read %s", path);
	if (!keyring_parse(file.text, file.len, ring, &errors))
		errx(1, "%s:%u: %s", path, errors.at[0].line, errors.at[0].why);
	file_finish(&file);
	if (ring->len == 0)
		errx(1, "no key in %s", path);
	return ring;
}

void
ring_free(struct keyring **ring)
{
	secret_free(*ring, sizeof(**ring));
	*ring = NULL;
}
