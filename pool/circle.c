/* SPDX-License-Identifier: MIT */
#include "pool/circle.h"

void
circle_join(struct circle *c, struct place *p)
{
	p->waiting++;
	if (p->standing)
		return;
	p->standing = true;
	p->left = (int)p->quantum;
	TAILQ_INSERT_TAIL(c, p, next);
}

bool
circle_pass(struct circle *c)
{
	struct place *p = TAILQ_FIRST(c);

	if (p->waiting == 0 && p->left >= 0) {
		circle_remove(c, p);
		return false;
	}
	p->left += (int)p->quantum;
	TAILQ_REMOVE(c, p, next);
	TAILQ_INSERT_TAIL(c, p, next);
	return true;
}

void
circle_remove(struct circle *c, struct place *p)
{
	if (p->standing)
		TAILQ_REMOVE(c, p, next);
	p->standing = false;
}
