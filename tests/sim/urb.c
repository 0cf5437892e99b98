/* SPDX-License-Identifier: MIT */
#include "tests/sim/urb.h"

#include <stdlib.h>

#include "lib/secret.h"

struct urb *
urb_new(uint32_t sequence, size_t len)
{
	struct urb *u = calloc(1, sizeof(*u) + len);

	if (u == NULL)
		return NULL;
	u->sequence = sequence;
	u->len = len;
	return u;
}

void
urb_free(struct urb *u)
{
	secret_wipe(u->data, u->len);
	free(u);
}

void
urb_append(struct urb_list *list, struct urb *u)
{
	struct urb **at = &list->first;

	while (*at != NULL)
		at = &(*at)->next;
	u->next = NULL;
	*at = u;
}

struct urb *
urb_take(struct urb_list *list, uint32_t sequence)
{
	for (struct urb **at = &list->first; *at != NULL; at = &(*at)->next) {
		struct urb *u = *at;

		if (u->sequence != sequence)
			continue;
		*at = u->next;
		return u;
	}
	return NULL;
}

void
urb_free_all(struct urb_list *list)
{
	while (list->first != NULL)
		urb_free(urb_take(list, list->first->sequence));
}
