/* SPDX-License-Identifier: MIT */
#include "lib/xen_seed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/hex.h"
#include "lib/secret.h"
#include "lib/xenstore.h"

#define DOMAINS "/local/domain"
#define DOMAIN_MAX 32751 /* DOMID_FIRST_RESERVED - 1 of Xen */

/* It is empty until the guest owns it, so that no other guest can read it at any time. */
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

/* Returns the length of the text; -ENOENT while the host has not written it yet. */
static int
look(int store, char ret_text[static XEN_SEED_TEXT_LEN + 1])
{
	int len = xenstore_read(store, XEN_SEED_PATH, ret_text, XEN_SEED_TEXT_LEN + 1);

	return len != 0 ? len : -ENOENT;
}

/* Without a right to it, it is not there yet. */
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

int
xen_seed_domain(int store, const char *name)
{
	return xenstore_find(store, DOMAINS, DOMAIN_MAX, name);
}
