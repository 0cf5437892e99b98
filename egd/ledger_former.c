/* SPDX-License-Identifier: MIT */
/* The ledger of a daemon that is gone: it is looked at before it is believed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "egd/egd_wire.h"
#include "egd/ledger_inside.h"

/* ---- does it make sense? ---- */

static bool
ledger_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool
ledger_client_is_sane(const struct ledger_client *c)
{
	const struct ledger_state *s;

	if (c->turn > 1 || c->listener >= LEDGER_LISTENERS ||
	    c->address.len > sizeof(c->address) - offsetof(struct address, any) ||
	    !ledger_ends(c->guest, sizeof(c->guest)))
		return false;
	s = ledger_state(c);
	return s->at <= s->len && s->len <= sizeof(c->in);
}

/* What the call in hand says is believed where it leaves sense behind. */
static bool
ledger_call_is_sane(const struct ledger *l)
{
	const struct ledger_call *call = &l->call;
	const struct ledger_client *c = &l->clients[call->client];
	uint32_t n = call->message.msg_len;

	if (call->what > LEDGER_SEND || call->client >= l->used || !ledger_client_is_sane(c))
		return false;
	if (ledger_state(c)->calls == call->number)
		return true; /* counted in already */
	if (call->what == LEDGER_RECEIVE)
		return n <= sizeof(c->in) - ledger_state(c)->len;
	return n <= call->left && call->answered <= ledger_state(c)->len;
}

static int
ledger_check(struct ledger *l)
{
	if (l->used > l->max || l->newcomer.listener >= LEDGER_LISTENERS)
		return -EINVAL;
	for (unsigned i = 0; i < LEDGER_LISTENERS; i++)
		if (!ledger_ends(l->listeners[i].address, EGD_ADDRESS_MAX))
			return -EINVAL;
	if (l->call.what == LEDGER_NOTHING)
		return 0;
	if (!ledger_call_is_sane(l))
		return -EINVAL;
	ledger_count_in(l);
	return 0;
}

int
ledger_open(int fd, struct ledger **ret)
{
	int result, seals = fcntl(fd, F_GET_SEALS);
	struct ledger *l = NULL;
	struct stat st;

	if (seals < 0 || (seals & LEDGER_SEALS) != LEDGER_SEALS || fstat(fd, &st) != 0)
		return -EINVAL;
	if ((size_t)st.st_size < sizeof(*l))
		return -EPROTO;
	result = ledger_map(fd, (size_t)st.st_size, MAP_PRIVATE, &l);
	if (result < 0)
		return result;
	if (l->version != LEDGER_VERSION || l->record_len != sizeof(struct ledger_client))
		result = -EPROTO;
	else if ((size_t)st.st_size != ledger_len(l->max))
		result = -EINVAL;
	else
		result = ledger_check(l);
	if (result == 0)
		*ret = l;
	else
		munmap(l, (size_t)st.st_size);
	return result;
}

/* ---- going on ---- */

/* Takes off `in` what has been answered, and puts what is owed of a reply into *ret_owed. */
static bool
ledger_pass_over(struct cursor *in, size_t sent, uint64_t pid, uint8_t *ret_owed)
{
	*ret_owed = 0;
	while (sent > 0) {
		struct egd_request request;
		size_t len;

		if (egd_wire_request(in, &request) != EGD_WHOLE)
			return false;
		len = egd_wire_reply_len(request, pid);
		if (len <= sent) {
			sent -= len;
			continue;
		}
		*ret_owed = (uint8_t)(len - sent);
		return request.op == EGD_READ || request.op == EGD_TRY;
	}
	return true;
}

bool
ledger_renew(struct ledger_client *c, const struct ledger_client *former, uint64_t former_pid)
{
	struct ledger_state next = {0};
	struct cursor in;
	uint8_t owed;

	if (!ledger_client_is_sane(former))
		return false;
	next = *ledger_state(former);
	in = cursor_over(former->in + next.at, next.len - next.at);
	if (!ledger_pass_over(&in, next.sent, former_pid, &owed))
		return false;
	next = (struct ledger_state){.len = (uint32_t)in.left};
	if (owed > 0) { /* of a request that was passed over: there is room for it */
		next.len +=
			(uint32_t)egd_wire_put_request((struct egd_request){EGD_READ, owed}, c->in);
	}
	memcpy(c->in + next.len - in.left, in.at, in.left);
	ledger_change(c, &next);
	return true;
}
