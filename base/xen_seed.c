/* SPDX-License-Identifier: MIT */
#include "base/xen_seed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/num.h"
#include "base/secret.h"
#include "base/xenstore.h"

#define DOMAINS "/local/domain"
#define DOMAIN_MAX 32751 /* DOMID_FIRST_RESERVED - 1 of Xen */
#define NAME_MAX_LEN 256

/* Others may not read it at any moment: it is empty until it is the guest's. */
int
xen_seed_put(int store, unsigned domain, const uint8_t seed[static XEN_SEED_LEN])
{
	char path[XENSTORE_PATH_MAX], text[XEN_SEED_TEXT_LEN + 1];
	int result;

	snprintf(path, sizeof(path), DOMAINS "/%u/" XEN_SEED_PATH, domain);
	result = xenstore_write(store, path, "", 0);
	if (result == 0)
		result = xenstore_share(store, path, domain);
	hex_encode(seed, XEN_SEED_LEN, text);
	if (result == 0)
		result = xenstore_write(store, path, text, XEN_SEED_TEXT_LEN);
	secret_wipe(text, sizeof(text));
	return result;
}

int
xen_seed_watch(void)
{
	int store = xenstore_open();
	int result = store < 0 ? store : xenstore_watch(store, XEN_SEED_PATH);

	if (result < 0 && store >= 0)
		close(store);
	return result < 0 ? result : store;
}

/* The length of what is there; -ENOENT while the host has not written it yet. */
static int
look(int store, char ret_text[static XEN_SEED_TEXT_LEN + 1])
{
	int len = xenstore_read(store, XEN_SEED_PATH, ret_text, XEN_SEED_TEXT_LEN + 1);

	return len != 0 ? len : -ENOENT;
}

/* Not for us yet is not there yet. */
int
xen_seed_is_there(int store)
{
	char text[XEN_SEED_TEXT_LEN + 1];
	int len = look(store, text);

	secret_wipe(text, sizeof(text));
	if (len == -ENOENT || len == -EACCES)
		return 0;
	return len > 0 || len == -ENOBUFS ? 1 : len;
}

int
xen_seed_take(int store, uint8_t ret[static XEN_SEED_LEN])
{
	char text[XEN_SEED_TEXT_LEN + 1];
	int len = look(store, text);
	int result = len < 0 && len != -ENOBUFS ? len : xenstore_remove(store, XEN_SEED_PATH);

	if (result == 0 && (len != XEN_SEED_TEXT_LEN || !hex_decode(text, XEN_SEED_LEN, ret)))
		result = -EBADMSG;
	secret_wipe(text, sizeof(text));
	return result;
}

static bool
is_named(int store, unsigned domain, const char *name)
{
	char path[XENSTORE_PATH_MAX], value[NAME_MAX_LEN];

	snprintf(path, sizeof(path), DOMAINS "/%u/name", domain);
	return xenstore_read(store, path, value, sizeof(value)) > 0 && strcmp(value, name) == 0;
}

int
xen_seed_domain(int store, const char *name)
{
	char numbers[XENSTORE_PAYLOAD_MAX];
	int len = xenstore_list(store, DOMAINS, numbers, sizeof(numbers));
	uint64_t number;

	if (len < 0)
		return len;
	for (const char *at = numbers; at < numbers + len; at += strlen(at) + 1)
		if (num_parse(at, DOMAIN_MAX, &number) &&
		    (strcmp(at, name) == 0 || is_named(store, (unsigned)number, name)))
			return (int)number;
	return -ESRCH;
}
