/* SPDX-License-Identifier: MIT */
#include "daemon/tls_process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/status_row.h"
#include "egd/server/listener.h"
#include "lib/log.h"
#include "lib/net.h"
#include "lib/priv/tls_channel.h"

#define PROGRAM "ekey-tls"         /* beside our own */
#define SOCKET_VARIABLE "EKEY_TLS" /* in the unit: where the service manager starts it */
#define SELF "/proc/self/exe"
#define SELF_MAX 4096

/* ---- keys ---- */

/* Sections that may have keys: listeners, and then sources. */
static size_t
section_count(const struct config *config)
{
	return config->listen_count + config->source_count;
}

/* False: the section has no keys. */
static bool
keys_of(const struct config *config, size_t section, struct tls_keys *ret)
{
	const struct egd_listen_config *listen;
	const struct source_config *source;

	*ret = (struct tls_keys){.kind = TLS_KEYS, .server = section < config->listen_count};
	if (ret->server) {
		listen = &config->listens[section];
		ret->files = listen->tls;
		snprintf(ret->section, sizeof(ret->section), "listen %s", listen->name);
		return egd_listener_is_tls(listen);
	}
	source = &config->sources[section - config->listen_count];
	ret->files = source->tls;
	snprintf(ret->section, sizeof(ret->section), "source %.*s", CONFIG_NAME_MAX - 1,
		 source->name);
	return source_addresses_use_tls(source->address);
}

/* Whether ekey-tls has good keys for all of the first `count` sections. */
static bool
are_good(const struct config *config, const struct tls_process *p, size_t count)
{
	struct tls_keys keys;

	for (size_t i = 0; i < count; i++)
		if (!p->good[i] && keys_of(config, i, &keys))
			return false;
	return true;
}

static bool
is_needed(const struct config *config)
{
	const struct tls_process none = {.whole = false};

	return !are_good(config, &none, section_count(config));
}

/* Returns the cure of an error, to be appended, or "". */
static const char *
cure_of(const char *words)
{
	bool denied = strstr(words, strerror(EACCES)) != NULL;

	return denied && getenv(SOCKET_VARIABLE) != NULL
		       ? ": ekey-tls has a user of its own: chgrp ekey-tls and chmod 0640 it"
		       : "";
}

/* 0 with whether the keys are good; -EXDEV: see tls_channel_load(); -errno: ekey-tls has ended. */
static int
load(int channel, const struct tls_keys *keys, bool *ret_good)
{
	struct tls_answer answer = {0};
	int result = tls_channel_load(channel, keys, &answer);

	if (result < 0 || answer.result == -EXDEV)
		return result < 0 ? result : -EXDEV;
	*ret_good = answer.result == 0 || answer.kept;
	if (answer.result < 0)
		log_err("%s: %s%s", keys->section, answer.words, cure_of(answer.words));
	else if (answer.words[0] != '\0')
		log_warn("%s: %s", keys->section, answer.words);
	if (answer.kept)
		log_warn("%s: the previous keys stay in use", keys->section);
	return 0;
}

/* Loads the keys that ekey-tls does not have. 0 or -errno, as load(). */
static int
load_all(const struct config *config, struct tls_process *p)
{
	struct tls_keys keys;
	int result = 0;

	for (size_t i = 0; result == 0 && i < section_count(config); i++)
		if (!p->good[i] && keys_of(config, i, &keys))
			result = load(p->process.fd, &keys, &p->good[i]);
	if (result == 0 && p->whole)
		result = tls_channel_order(p->process.fd, TLS_END);
	p->whole = p->whole && result != 0;
	return result;
}

/* ---- the process ---- */

/* Starts the program in the directory of our own. */
static int
spawn(struct helper *ret)
{
	static const char *const argv[] = {PROGRAM, NULL};
	char path[SELF_MAX + sizeof(PROGRAM)];
	ssize_t len = readlink(SELF, path, SELF_MAX);

	if (len <= 0)
		return -errno;
	path[len] = '\0';
	memcpy(strrchr(path, '/') + 1, PROGRAM, sizeof(PROGRAM));
	return helper_spawn(ret, path, argv, TLS_CHANNEL_FD);
}

static void
forget_keys(struct tls_process *p)
{
	memset(p->good, 0, sizeof(p->good));
	p->whole = true;
}

static bool
launch(struct tls_process *p)
{
	const char *path = getenv(SOCKET_VARIABLE);
	int result;

	forget_keys(p);
	p->process = HELPER_NONE;
	result = path != NULL ? net_unix_connect_packets(path) : spawn(&p->process);
	if (result < 0) {
		log_err("cannot start ekey-tls, without which there is no TLS: %s: %s",
			path != NULL ? path : PROGRAM, strerror(-result));
		return false;
	}
	if (path != NULL)
		p->process.fd = result;
	return true;
}

static void
stop_watching(struct tls_process *p)
{
	if (p->ended != NULL)
		event_free(p->ended);
	p->ended = NULL;
}

static void
end(struct tls_process *p)
{
	stop_watching(p);
	helper_stop(&p->process);
}

/* Loads as load_all(), if need be into another ekey-tls that can read another directory. */
static int
load_into(const struct config *config, struct tls_process *p)
{
	int result = load_all(config, p);

	if (result == -EXDEV) {
		log_info("ekey-tls is restarted: keys are in another directory");
		end(p);
		result = launch(p) ? load_all(config, p) : -EPIPE;
	}
	if (result < 0) {
		log_err("ekey-tls does not answer: %s", strerror(-result));
		end(p);
	}
	return result;
}

static void
on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)what;
	log_warn("ekey-tls has ended: all TLS connections are closed");
	end(&d->tls);
	retry_later(&d->retry);
}

static bool
watch(struct daemon *d)
{
	if (d->tls.ended == NULL)
		d->tls.ended = event_new(d->base, d->tls.process.fd, EV_READ, on_ended, d);
	return d->tls.ended != NULL && event_add(d->tls.ended, NULL) == 0;
}

bool
tls_process_start(struct daemon *d)
{
	struct tls_process *p = &d->tls;

	if (!is_needed(&d->config)) {
		end(p);
		return true;
	}
	if ((p->process.fd < 0 && !launch(p)) || load_into(&d->config, p) < 0 || !watch(d))
		return false;
	return are_good(&d->config, p, d->config.listen_count);
}

void
tls_process_reload(struct daemon *d)
{
	forget_keys(&d->tls);
}

void
tls_process_renew(struct daemon *d)
{
	if (d->tls.process.fd >= 0)
		(void)tls_channel_order(d->tls.process.fd, TLS_RENEW);
}

/* Leaves the replies that it still has to send to it: it ends by itself. */
void
tls_process_stop(struct daemon *d)
{
	stop_watching(&d->tls);
	helper_release(&d->tls.process);
}

void
tls_process_status(const struct daemon *d, struct evbuffer *out)
{
	const struct status_subject s = {out, "tls", ROW_ONLY_ONE};
	char text[RETRY_TEXT_MAX];

	if (is_needed(&d->config))
		status_row_text(&s, "state",
				d->tls.process.fd >= 0 ? "serves" : retry_text(&d->retry, text));
}

/* ---- the check ---- */

bool
tls_process_check(const struct config *config)
{
	struct tls_process p = {.process = HELPER_NONE};
	bool good;

	/* The service manager's has a user of its own, and reads the keys when the daemon runs. */
	if (!is_needed(config) || getenv(SOCKET_VARIABLE) != NULL)
		return true;
	if (!launch(&p) || load_into(config, &p) < 0)
		return false;
	good = are_good(config, &p, section_count(config));
	end(&p);
	return good;
}
