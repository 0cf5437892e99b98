/* SPDX-License-Identifier: MIT */
#include "backend/source_tls.h"

#include <string.h>

bool
source_tls_equal(const struct source_tls *a, const struct source_tls *b)
{
	return strcmp(a->psk, b->psk) == 0 && strcmp(a->identity, b->identity) == 0 &&
	       strcmp(a->cert, b->cert) == 0 && strcmp(a->key, b->key) == 0 &&
	       strcmp(a->ca, b->ca) == 0;
}

bool
source_tls_is_empty(const struct source_tls *files)
{
	static const struct source_tls none;

	return source_tls_equal(files, &none);
}

const char *
source_tls_error(const struct source_tls *files)
{
	if (files->psk[0] == '\0' && files->ca[0] == '\0')
		return "tls: needs psk or ca, to know the server by";
	if (files->psk[0] == '\0' && files->identity[0] != '\0')
		return "identity needs psk";
	if (files->cert[0] == '\0' && files->key[0] != '\0')
		return "key needs cert";
	return NULL;
}
