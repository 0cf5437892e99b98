/* SPDX-License-Identifier: MIT */
#include "backend/source_tls.h"

bool
source_tls_is_empty(const struct source_tls *files)
{
	return files->psk[0] == '\0' && files->identity[0] == '\0' && files->cert[0] == '\0' &&
	       files->key[0] == '\0' && files->ca[0] == '\0';
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
