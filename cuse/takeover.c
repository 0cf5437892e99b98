/* SPDX-License-Identifier: MIT */
#include "cuse/takeover.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cuse/claim.h"

/* ---- the table ---- */

static const char *
table_problem(int error)
{
	return error == -EPROTO  ? "it is of another version"
	       : error == -ELOOP ? "each who tried ended by it"
				 : "what is known of it makes no sense";
}

int
takeover_table(struct handover *handover, struct kept *k, const char *path, struct table **ret,
	       int *ret_fd)
{
	int result = k->fds[KEPT_TABLE] < 0 ? -ENOENT : table_adopt(k->fds[KEPT_TABLE], ret);

	if (result == 0) {
		*ret_fd = k->fds[KEPT_TABLE];
		return 0;
	}
	if (result != -ENOENT) {
		log_warn("%s: not taken over, but published anew: %s", path, table_problem(result));
		handover_forget(handover, path);
	}
	kept_close(k);
	*ret = table_new(ret_fd);
	return *ret == NULL ? -errno : 0;
}

/* ---- the connection ---- */

/* Why nobody who has it open may be left with it as it is now; NULL: they may. */
static const char *
what_changed(const struct table *t, const struct device_config *config)
{
	bool cuse = t->init_opcode == CUSE_INIT;

	if (strcmp(t->path, config->path) != 0)
		return "it is of another path";
	if (t->mode != config->mode)
		return "mode was changed";
	if (config->via == (cuse ? DEVICE_VIA_FUSE : DEVICE_VIA_CUSE))
		return "via was changed";
	return NULL;
}

const char *
takeover_carrier(struct carrier *c, const struct device_config *config, struct requests *requests,
		 int fd)
{
	const struct table *t = requests_table(requests);
	const char *problem = what_changed(t, config);

	if (problem != NULL) {
		close(fd);
		return problem;
	}
	*c = (struct carrier){
		.kind = t->init_opcode == CUSE_INIT ? &carrier_cuse : &carrier_fuse,
		.path = config->path,
		.mode = config->mode,
		.requests = requests,
	};
	return carrier_adopt(c, fd) < 0 ? c->problem : NULL;
}

/* ---- what nobody goes on with ---- */

/* Nobody has it open any longer than this: what is left then is as after kill -9. */
void
device_discard(struct handover *handover, struct kept *k)
{
	int lock = k->fds[KEPT_LOCK];

	k->fds[KEPT_LOCK] = -1;
	kept_close(k);
	handover_forget(handover, k->path);
	log_info("%s: withdrawn: it is no longer configured", k->path);
	if (lock < 0)
		return;
	(void)claim_clear(k->path);
	claim_release(k->path, lock);
}
