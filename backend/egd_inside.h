/* SPDX-License-Identifier: MIT */
/* Shared by egd.c, which comes, goes and waits, and egd_flow.c, which asks and takes the answers.
 */
#ifndef BACKEND_EGD_INSIDE_H
#define BACKEND_EGD_INSIDE_H

#include "backend/link.h"
#include "backend/source_kind.h"
#include "backend/trust.h"
#include "egd/egd_client.h"

struct egd {
	struct source source;
	struct source_env env;
	struct source_config config;
	struct link link;
	struct egd_client client;
	struct intake intake; /* not restarted with each connection: what it holds is scarce */
	struct trust trust;
	struct event *timer;
	uint64_t timer_ms; /* when it fires; UINT64_MAX: not armed */
	bool answers;      /* on this connection: it is proven, and not ourselves */
	bool starves;      /* it lagged while somebody waited, or was too late, and is not better */
	uint64_t starved_ms, rest_ms; /* when that began; until its level can end it */
	bool stands_by;
	bool paused;     /* bytes have come, and the pool is full */
	uint64_t mix_ms; /* when its bytes are next asked for, for the kernel */
	char late[64];
	struct source_egd_status figures;
};

/* ---- egd.c ---- */

/* Its bytes enter the pool, or would if they were asked for. */
bool egd_serves(const struct egd *e);

/* Tells who wants to know; `served`: as it was before what may have changed it. */
void egd_tell_change(const struct egd *e, bool served);

/* It does not serve for now. */
void egd_starve(struct egd *e, uint64_t now_ms);

/* It starves when it lags while somebody waits. */
void egd_judge_pace(struct egd *e, uint64_t now_ms);

/* Arms the timer for what is due next. */
void egd_arm(struct egd *e, uint64_t now_ms);

/* ---- egd_flow.c ---- */

/* Asks for entropy, if there is use for more. */
void egd_ask(struct egd *e, uint64_t now_ms);

/* The server has proven to be one: from now on it is asked for entropy. */
void egd_on_proven(struct egd *e, uint64_t now_ms);

/* Asks for its level or process id. */
void egd_ask_single(struct egd *e, enum egd_op op, uint64_t now_ms);

/* As link_events.bytes. */
size_t egd_on_bytes(void *arg, const uint8_t *bytes, size_t len);

/* As source_kind. */
void egd_room(struct source *source);
void egd_wanted(struct source *source);
void egd_stand_by(struct source *source, bool on);

#endif
