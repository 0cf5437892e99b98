/* SPDX-License-Identifier: MIT */
/* Who is to hear when a key has come or gone. */
#include <stdlib.h>
#include <string.h>

#include "backend/usb_registry.h"

struct usb_watch {
	struct usb_watch *next;
	struct usb *usb;
	const char *serial; /* NULL: all that happens */
	bool due;
	void (*fn)(void *arg);
	void *arg;
};

void
usb_tell(struct usb *u, const char *serial)
{
	for (struct usb_watch *w = u->watches; w != NULL; w = w->next)
		if (w->serial == NULL || (serial != NULL && strcmp(w->serial, serial) == 0))
			w->due = true;
	event_active(u->changed, EV_TIMEOUT, 0);
}

/* A watch may be freed, or made, by what is called here. */
void
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
	usb_tell(u, NULL);
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
