/* SPDX-License-Identifier: MIT */
#include "backend/usb_registry.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define USB_SCAN_S 2 /* where nothing tells us that a key has come */
/* A key that is well has told its serial number long before. */
#define USB_IDENTIFY_MS 100
#define USB_BUSY_MS 500 /* to say that one is not has a price */

/* ---- who is there ---- */

static struct usb_key *
usb_find(const struct usb *u, unsigned bus, unsigned device)
{
	struct usb_key *key = u->keys;

	while (key != NULL &&
	       (key->left || key->address.bus != bus || key->address.device != device))
		key = key->next;
	return key;
}

/* Without one it stays in the list with the serial "", so that it is said once. */
static void
usb_identified(struct usb_key *key)
{
	struct usb_identity identity;

	if (key->identifier.fd < 0 || !priv_usb_identity(&key->identifier, &identity)) {
		log_warn("usb: the key at %u:%u reports no serial number: unplug it and plug it in"
			 " again",
			 key->address.bus, key->address.device);
		return;
	}
	key->identity = identity;
	log_info("usb: key %s is plugged in", key->identity.serial);
	usb_tell(key->usb, key->identity.serial);
}

static void
usb_identify_finish(struct usb_key *key)
{
	if (key->identifying != NULL)
		event_free(key->identifying);
	key->identifying = NULL;
	helper_stop(&key->identifier);
}

static void
usb_on_identified(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	usb_identified(arg);
	usb_identify_finish(arg);
}

/* However long it takes: the kernel answers in the end, and a key that is unplugged is forgotten.
 */
static void
usb_identify_later(struct usb_key *key)
{
	log_info("usb: the key at %u:%u is busy in the kernel: waiting for its serial number",
		 key->address.bus, key->address.device);
	key->identifying =
		event_new(key->usb->base, key->identifier.fd, EV_READ, usb_on_identified, key);
	if (key->identifying == NULL || event_add(key->identifying, NULL) != 0)
		log_err("usb: no memory");
}

/* Starts to read a key's identity; true when it has not come within `wait_ms`. */
static bool
usb_is_busy(const struct usb_address *address, int wait_ms, struct helper *ret)
{
	struct pollfd answer = {.events = POLLIN};

	if (usb_sysfs_identify(USB_SYSFS, address, ret) < 0)
		return false;
	answer.fd = ret->fd;
	return poll(&answer, 1, wait_ms) == 0;
}

static void
usb_add(struct usb *u, const struct usb_address *address)
{
	struct usb_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return;
	*key = (struct usb_key){.address = *address, .usb = u, .fd = -1, .next = u->keys};
	u->keys = key;
	if (usb_is_busy(&key->address, USB_IDENTIFY_MS, &key->identifier))
		usb_identify_later(key);
	else
		usb_identified(key);
}

void
usb_forget(struct usb *u, struct usb_key *key)
{
	struct usb_key **at = &u->keys;

	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	usb_identify_finish(key);
	free(key);
}

static void
usb_remove(struct usb *u, struct usb_key *key)
{
	key->left = true;
	key->was_claimed = false;
	log_debug("usb: key %s is unplugged", key->identity.serial);
	if (key->fd < 0)
		usb_forget(u, key);
	else if (key->on_left != NULL)
		key->on_left(key->arg);
	usb_tell(u, NULL);
}

static void
usb_on_came(void *arg, unsigned bus, unsigned device)
{
	struct usb *u = arg;
	struct usb_address found[USB_KEYS_MAX];
	size_t count = usb_sysfs_list(USB_SYSFS, found, USB_KEYS_MAX);

	if (usb_find(u, bus, device) != NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		if (found[i].bus == bus && found[i].device == device) {
			usb_add(u, &found[i]);
			return;
		}
	}
}

static void
usb_on_left(void *arg, unsigned bus, unsigned device)
{
	struct usb_key *key = usb_find(arg, bus, device);

	if (key != NULL)
		usb_remove(arg, key);
}

/* ---- without hotplug ---- */

static bool
usb_is_among(const struct usb_key *key, const struct usb_address *found, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (found[i].bus == key->address.bus && found[i].device == key->address.device)
			return true;
	return false;
}

static void
usb_look(struct usb *u)
{
	struct usb_address found[USB_KEYS_MAX];
	size_t count = usb_sysfs_list(USB_SYSFS, found, USB_KEYS_MAX);

	for (struct usb_key *key = u->keys, *next; key != NULL; key = next) {
		next = key->next;
		if (!key->left && !usb_is_among(key, found, count))
			usb_remove(u, key);
	}
	for (size_t i = 0; i < count; i++)
		if (usb_find(u, found[i].bus, found[i].device) == NULL)
			usb_add(u, &found[i]);
}

static void
usb_scan_later(struct usb *u)
{
	const struct timeval wait = {.tv_sec = USB_SCAN_S};

	event_add(u->scan, &wait);
}

/* ---- life ---- */

/* libudev reads under the same lock, of all devices, when libusb starts with it. */
static bool
usb_any_is_busy(void)
{
	struct usb_address found[USB_KEYS_MAX];
	size_t count = usb_sysfs_list(USB_SYSFS, found, USB_KEYS_MAX);
	bool busy = false;

	for (size_t i = 0; i < count && !busy; i++) {
		struct helper helper;

		busy = usb_is_busy(&found[i], USB_BUSY_MS, &helper);
		helper_stop(&helper);
	}
	return busy;
}

void
usb_start(struct usb *u)
{
	const struct usb_loop_events events = {usb_on_came, usb_on_left, u};
	bool busy = usb_any_is_busy();
	int result = usb_loop_new(u->base, USB_VENDOR, USB_PRODUCT, &events, !busy, &u->loop);

	if (result == 0 && usb_loop_has_hotplug(u->loop))
		return;
	if (!u->told_scan && result < 0)
		log_warn("usb: cannot start (%s); trying on", strerror(-result));
	else if (!u->told_scan)
		log_info("usb: %s: looking for keys every %d s",
			 busy ? "a key is busy in the kernel" : "no udev here", USB_SCAN_S);
	u->told_scan = true;
	usb_look(u);
	usb_scan_later(u);
}

static void
usb_on_scan(evutil_socket_t fd, short what, void *arg)
{
	struct usb *u = arg;

	(void)fd, (void)what;
	if (u->loop == NULL) {
		usb_start(u);
		return;
	}
	usb_look(u);
	usb_scan_later(u);
}

struct usb *
usb_new(struct event_base *base)
{
	struct usb *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->base = base;
	u->changed = evtimer_new(base, usb_on_changed, u);
	u->scan = evtimer_new(base, usb_on_scan, u);
	if (u->changed == NULL || u->scan == NULL)
		usb_free(&u);
	return u;
}

void
usb_free(struct usb **usb)
{
	struct usb *u = *usb;

	if (u == NULL)
		return;
	usb_loop_free(&u->loop);
	while (u->keys != NULL) {
		usb_return_to_kernel(u->keys);
		usb_forget(u, u->keys);
	}
	if (u->changed != NULL)
		event_free(u->changed);
	if (u->scan != NULL)
		event_free(u->scan);
	free(u);
	*usb = NULL;
}

/* ---- questions ---- */

const struct usb_key *
usb_key(const struct usb *u, size_t i)
{
	const struct usb_key *key = u->keys;

	while (key != NULL && (key->left || key->identity.serial[0] == '\0' || i-- > 0))
		key = key->next;
	return key;
}

struct usb_loop *
usb_loop(const struct usb *u)
{
	return u->loop;
}
