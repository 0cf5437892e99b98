/* SPDX-License-Identifier: MIT */
/* lib/tls/tls.h for an ekey-feed that is built without OpenSSL: only reports that. */
#include <errno.h>
#include <stdio.h>

#include "lib/tls/memory.h"
#include "lib/tls/tls.h"

#define NONE "this ekey-feed was built without TLS (make ekey-feed TLS=1)"

bool
crypto_wipe_memory(void)
{
	return true;
}

struct tls_context *
tls_context_new(const struct tls_config *config, char error[static TLS_ERROR_MAX])
{
	(void)config;
	snprintf(error, TLS_ERROR_MAX, "%s", NONE);
	return NULL;
}

void
tls_context_free(struct tls_context **context)
{
	(void)context;
}

const char *
tls_context_warning(const struct tls_context *context)
{
	(void)context;
	return NULL;
}

void
tls_reseed(void)
{
}

/* The functions below are never reached without a context. */

struct tls *
tls_new(struct tls_context *context, int fd)
{
	(void)context, (void)fd;
	return NULL;
}

void
tls_free(struct tls **tls)
{
	(void)tls;
}

int
tls_handshake(struct tls *tls)
{
	(void)tls;
	return -EPROTONOSUPPORT;
}

ssize_t
tls_read(struct tls *tls, uint8_t *ret, size_t len)
{
	(void)tls, (void)ret, (void)len;
	return -EPROTONOSUPPORT;
}

ssize_t
tls_write(struct tls *tls, const uint8_t *bytes, size_t len)
{
	(void)tls, (void)bytes, (void)len;
	return -EPROTONOSUPPORT;
}

const char *
tls_error_text(const struct tls *tls)
{
	(void)tls;
	return NONE;
}
