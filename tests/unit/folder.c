/* SPDX-License-Identifier: MIT */
#include "tests/unit/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool
folder_make(char ret[FOLDER_MAX])
{
	const char *tmp = getenv("TMPDIR");
	int len = snprintf(ret, FOLDER_MAX, "%s/%s.XXXXXX", tmp != NULL ? tmp : "/tmp",
			   program_invocation_short_name);

	if (len >= FOLDER_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	return mkdtemp(ret) != NULL;
}
