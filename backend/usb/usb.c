/* SPDX-License-Identifier: MIT */
#include "backend/usb/usb.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/priv/usb.h"

#define USB_SCAN_S 2 /* between two looks at the bus without hotplug */
/* A healthy key has told its serial number long before. */
#define USB_IDENTIFY_MS 100
#define USB_BUSY_MS 500                   /* before a key counts as busy, which has a price */
#define USB_TTY_FOLDER "/dev/entropykey/" /* udev/60-ekey-random.rules */
#define USB_TALK_INTERFACE 0 /* the one that the kernel's driver probes; it takes both */

struct usb_watch {
	struct usb_watch *next;
	struct usb *usb;
	const char *serial; /* NULL: every change */
	bool due;
	void (*fn)(void *arg);
	void *arg;
};

struct usb_reserved {
	struct usb_reserved *next;
	char serial[USB_SERIAL_MAX + 1];
};

struct usb {
	struct event_base *base;
	struct usb_loop *loop; /* NULL: not started */
	struct usb_key *keys;
	struct usb_watch *watches, *next_watch;
	struct usb_reserved *reserved;
	struct event *changed; /* calls the watches, from the loop */
	struct event *scan;    /* without hotplug */
	bool scan_logged;
};

/* ---- watches ---- */

/* `serial` was plugged in; NULL: something else has changed. */
static void
usb_notify(struct usb *u, const char *serial)
{
	for (struct usb_watch *w = u->watches; w != NULL; w = w->next)
		if (w->serial == NULL || (serial != NULL && strcmp(w->serial, serial) == 0))
			w->due = true;
	event_active(u->changed, EV_TIMEOUT, 0);
}

/* fn() may free watches and make others. */
static void
usb_on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct usb *u = arg;

	(void)fd, (void)what;
	for (struct usb_watch *w = u->watches; w != NULL; w = u->next_watch) {
		u->next_watch = w->next;
		if (!w->due)
			continue;
		w->due = false;
		w->fn(w->arg);
	}
}

/* ---- keys that are plugged in ---- */

static struct usb_key *
usb_find(const struct usb *u, unsigned bus, unsigned device)
{
	struct usb_key *key = u->keys;

	while (key != NULL &&
	       (key->left || key->address.bus != bus || key->address.device != device))
		key = key->next;
	return key;
}

/* A key without one stays in the list with the serial "", so that it is logged once. */
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
	usb_notify(key->usb, key->identity.serial);
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

/* Without a limit: the kernel answers in the end, and an unplugged key is forgotten. */
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

/* The key is unplugged and not held. */
static void
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
	usb_notify(u, NULL);
}

static void
usb_on_arrived(void *arg, unsigned bus, unsigned device)
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

/* ---- start ---- */

/* libudev reads all devices under the same lock when libusb starts with it. */
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

/* Starts looking for keys, or tries again every USB_SCAN_S. */
static void
usb_start(struct usb *u)
{
	const struct usb_loop_events events = {usb_on_arrived, usb_on_left, u};
	bool busy = usb_any_is_busy();
	int result = usb_loop_new(u->base, USB_VENDOR, USB_PRODUCT, &events, !busy, &u->loop);

	if (result == 0 && usb_loop_has_hotplug(u->loop))
		return;
	if (!u->scan_logged && result < 0)
		log_warn("usb: cannot start (%s); retrying", strerror(-result));
	else if (!u->scan_logged)
		log_info("usb: %s: looking for keys every %d s",
			 busy ? "a key is busy in the kernel" : "no udev here", USB_SCAN_S);
	u->scan_logged = true;
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

struct usb_watch *
usb_watch_new(struct usb *u, const char *serial, void (*fn)(void *arg), void *arg)
{
	struct usb_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct usb_watch){
		.next = u->watches, .usb = u, .serial = serial, .fn = fn, .arg = arg};
	u->watches = w;
	if (u->loop == NULL && !evtimer_pending(u->scan, NULL))
		usb_start(u);
	usb_notify(u, NULL);
	return w;
}

void
usb_watch_free(struct usb_watch **watch)
{
	struct usb_watch *w = *watch;
	struct usb_watch **at;

	if (w == NULL)
		return;
	at = &w->usb->watches;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->usb->next_watch == w)
		w->usb->next_watch = w->next;
	free(w);
	*watch = NULL;
}

/* ---- holders of keys ---- */

/* A key that was given up has no driver, but was ours: the kernel may have it again, too. */
static void
usb_return_to_kernel(const struct usb_key *key)
{
	struct helper helper;

	if (key->was_claimed && priv_usb_start_at(&helper, key->address.bus, key->address.device,
						  PRIV_USB_ATTACH, USB_TALK_INTERFACE) == 0)
		helper_release(&helper);
}

bool
usb_reserve(struct usb *u, const char *serial)
{
	struct usb_reserved *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return false;
	strncpy(r->serial, serial, USB_SERIAL_MAX);
	r->next = u->reserved;
	u->reserved = r;
	usb_notify(u, NULL);
	return true;
}

void
usb_unreserve(struct usb *u, const char *serial)
{
	for (struct usb_reserved **at = &u->reserved; *at != NULL; at = &(*at)->next) {
		struct usb_reserved *r = *at;

		if (strcmp(r->serial, serial) == 0) {
			*at = r->next;
			free(r);
			usb_notify(u, NULL);
			return;
		}
	}
}

bool
usb_is_reserved(const struct usb *u, const char *serial)
{
	for (const struct usb_reserved *r = u->reserved; r != NULL; r = r->next)
		if (strcmp(r->serial, serial) == 0)
			return true;
	return false;
}

int
usb_hold(struct usb *u, const char *serial, struct usb_key **ret)
{
	int result = -ENODEV;

	/* Two with one serial number: the second serves when the first is taken. */
	for (struct usb_key *key = u->keys; key != NULL; key = key->next) {
		if (key->left || strcmp(key->identity.serial, serial) != 0)
			continue;
		result = key->fd >= 0 ? -EBUSY
				      : priv_open_usb(key->address.bus, key->address.device);
		if (result >= 0) {
			key->fd = result;
			key->on_left = NULL;
			*ret = key;
			return 0;
		}
	}
	return result == -ENOENT ? -ENODEV
				 : result; /* its node went before its removal was reported */
}

void
usb_give_back(struct usb *u, struct usb_key *key, bool to_kernel)
{
	if (to_kernel) {
		usb_return_to_kernel(key);
		key->was_claimed = false;
	}
	close(key->fd);
	key->fd = -1;
	if (key->left)
		usb_forget(u, key);
}

void
usb_offer_tty(struct usb_key *key, int error)
{
	char name[USB_SERIAL_MAX + 1];

	if (key->tty_offered || error == ENODEV || error == EACCES || error == EBUSY ||
	    error == ENOMEM)
		return;
	key->tty_offered = true;
	memcpy(name, key->identity.serial, sizeof(name));
	for (char *at = name; (at = strchr(at, '/')) != NULL;)
		*at = '_'; /* as usb_id of udev does */
	log_info("usb: key %s: if the fault stays, try the kernel's driver for this key:"
		 " address = " USB_TTY_FOLDER "%s",
		 key->identity.serial, name);
}

/* ---- life ---- */

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
