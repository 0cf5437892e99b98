/* SPDX-License-Identifier: MIT */
#include "pool/circle.h"

void
circle_join(struct place *p)
{
	p->waiting++;
	if (p->standing)
		return;
	p->standing = true;
	p->left = (int)p->quantum;
	TAILQ_INSERT_TAIL(p->circle, p, next);
}

bool
circle_pass(struct place *p)
{
	if (p->waiting == 0 && p->left >= 0) {
		circle_remove(p);
		return false;
	}
	p->left += (int)p->quantum;
	TAILQ_REMOVE(p->circle, p, next);
	TAILQ_INSERT_TAIL(p->circle, p, next);
	return true;
}

void
circle_remove(struct place *p)
{
	if (p->standing)
		TAILQ_REMOVE(p->circle, p, next);
	p->standing = false;
}
