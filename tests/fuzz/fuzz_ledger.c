/* SPDX-License-Identifier: MIT */
/*
 * A ledger that went wrong, in any byte of it: it is refused, or what it says stays within its
 * bounds. The input is pokes: two bytes of a place, one to be put there.
 */
#include <string.h>
#include <unistd.h>

#include "egd/ledger.h"
#include "tests/fuzz/fuzz.h"

#define CLIENTS 2

/* Two clients, one with a call in hand. */
static struct ledger *
new_ledger(int *ret_fd)
{
	static const uint8_t asked[] = {2, 7, 1, 9, 0, 4, 3, 0, 0, 2, 'a', 'b', 2};
	struct ledger *l = ledger_new(CLIENTS, ret_fd);
	struct ledger_listener *listener;

	promise(l != NULL, "memory");
	listener = ledger_listen(l, "unix:/a");
	for (int i = 0; i < CLIENTS; i++) {
		struct ledger_client *c = ledger_join(l);

		memcpy(c->in, asked, sizeof(asked));
		ledger_note_received(c, sizeof(asked));
		ledger_keep(l, c, listener, i);
	}
	l->call.what = 2;
	l->call.number = 1;
	l->call.left = 30;
	l->call.message.msg_len = 9;
	return l;
}

static void
poke(struct ledger *l, struct cursor *in)
{
	const size_t len = sizeof(*l) + CLIENTS * sizeof(l->clients[0]);

	while (in->left > 0) {
		size_t at = fuzz_byte(in) | (size_t)fuzz_byte(in) << 8;

		((uint8_t *)l)[at % len] = fuzz_byte(in);
	}
}

static void
renew_all(const struct ledger *former)
{
	int fd;
	struct ledger *next = ledger_new(CLIENTS, &fd);

	promise(next != NULL, "memory");
	promise(former->used <= CLIENTS, "no more clients than there are places");
	for (unsigned i = 0; i < former->used; i++) {
		struct ledger_client *c = ledger_join(next);
		const struct ledger_state *s;

		if (!ledger_renew(c, &former->clients[i], former->pid))
			continue;
		s = ledger_state(c);
		promise(s->at == 0 && s->sent == 0 && s->len <= LEDGER_IN_LEN, "requests fit");
		promise(strlen(former->clients[i].guest) < LEDGER_GUEST_MAX, "a name has an end");
	}
	ledger_free(&next);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	struct ledger *former = NULL;
	int fd;
	struct ledger *l = new_ledger(&fd);

	poke(l, &in);
	if (ledger_open(fd, &former) == 0)
		renew_all(former);
	ledger_free(&former);
	l->max = CLIENTS; /* its own, for the end */
	ledger_free(&l);
	close(fd);
	return 0;
}
