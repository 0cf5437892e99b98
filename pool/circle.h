/* SPDX-License-Identifier: MIT */
/*
 * Those who take turns: elastic round robin by bytes. A turn is `quantum` bytes; what is left of it
 * is kept while there is nothing to give. Who is given more than is left owes the rest, and is
 * passed over until its turns have paid for it.
 *
 * Who no longer waits keeps its place until the turn comes to it, and until its debt is paid: to
 * leave early and come back costs nothing, and wins nothing.
 */
#ifndef POOL_CIRCLE_H
#define POOL_CIRCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

TAILQ_HEAD(circle, place);

struct place {
	TAILQ_ENTRY(place) next; /* in the circle, while it stands there */
	struct circle *circle;
	struct place *outer;  /* the place whose turns this one has a part of; NULL: none */
	struct circle *inner; /* of the places that have a part of this one's turns; NULL: none */
	void *owner;
	unsigned quantum; /* bytes */
	unsigned waiting; /* requests behind it */
	int left;         /* bytes, while it stands there; below 0: a debt */
	bool standing;
};

static inline bool
place_has_turn(const struct place *p)
{
	return p->waiting > 0 && p->left > 0;
}

static inline bool
place_owes(const struct place *p)
{
	return p->standing && p->left < 0;
}

/* One more request behind it; it goes last in its circle, unless it stands there already. */
void circle_join(struct place *p);

/*
 * The first of its circle, which has no turn (left), is passed over: it goes last, with another
 * turn. False when it leaves the circle instead, because it neither waits nor owes.
 */
bool circle_pass(struct place *p);

/* Takes it out at once, if it stands there, and forgets what it owes. */
void circle_remove(struct place *p);

#endif
