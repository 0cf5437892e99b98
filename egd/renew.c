/* SPDX-License-Identifier: MIT */
/* What a listener has to give up when others may have it as well. */
#include "egd/inside.h"

/* The pool's bytes, or keys with which another machine would encrypt other bytes. */
static bool
is_shared(const struct egd_connection *c)
{
	return c->out_direct > 0 || c->granted || c->server->is_tls;
}

unsigned
egd_server_renew(struct egd_server *s)
{
	struct egd_connection *c = LIST_FIRST(&s->connections);
	unsigned closed = 0;

	while (c != NULL) {
		struct egd_connection *next = LIST_NEXT(c, in_connections);

		if (is_shared(c)) {
			egd_connection_free(c, EGD_END_LOST);
			closed++;
		}
		c = next;
	}
	return closed;
}
