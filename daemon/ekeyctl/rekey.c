/* SPDX-License-Identifier: MIT */
/*
 * ekeyctl rekey: makes a new long-term key and stores it in the keyring. The master key is typed
 * here, stays in secret memory of this process, and is wiped. The key is not asked to change before
 * the master key and the keyring have been checked. The key changes before the keyring: a new
 * long-term key that cannot be stored is shown.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backend/ekey/masterkey.h"
#include "daemon/ekeyctl/key_access.h"
#include "daemon/ekeyctl/keyring_store.h"
#include "daemon/ekeyctl/terminal.h"
#include "lib/secret.h"

#define TYPED_MAX 256 /* 44 characters and any number of spaces */

struct rekey_secrets {
	char typed[TYPED_MAX];
	uint8_t master[MASTERKEY_LEN];
	struct keyed derivation;
	struct keyring_entry entry; /* the outcome */
	char line[KEYRING_LINE_LEN + 1];
};

struct rekey_job {
	struct key_access *access;
	struct keyring_store store;
	uint8_t serial[KEYED_SERIAL_LEN];
	uint8_t nonce[REKEY_NONCE_LEN];
	uint8_t answer[KEYED_SECRET_LEN];
	struct rekey_secrets *secrets;
};

/* ---- the master key ---- */

static enum exit_code
ask_master_key(struct rekey_secrets *s)
{
	int result = terminal_ask("Master key, from the key's card (it is not shown): ", s->typed,
				  sizeof(s->typed));
	bool good;

	if (result == -ENXIO) {
		fprintf(stderr,
			"ekeyctl: the master key is typed on a terminal, and there is none\n");
		return EXIT_MASTER_KEY;
	}
	good = result == 0 && masterkey_parse(s->typed, s->master);
	secret_wipe(s->typed, sizeof(s->typed));
	if (good)
		return EXIT_OK;
	fprintf(stderr, "ekeyctl: no master key: expected 44 characters with a correct checksum;"
			" spaces do not matter\n");
	return EXIT_MASTER_KEY;
}

static void
nonce_mac(struct rekey_job *job, uint8_t ret_mac[static KEYED_MAC_LEN])
{
	struct rekey_secrets *s = job->secrets;

	keyed_prepare(&s->derivation, KEYED_NONCE_MAC, job->serial, s->master);
	keyed_mac(&s->derivation, job->nonce, sizeof(job->nonce), ret_mac);
}

/* Derives the new long-term key, and wipes the master key. */
static void
derive_entry(struct rekey_job *job)
{
	struct rekey_secrets *s = job->secrets;

	memcpy(s->entry.serial, job->serial, sizeof(s->entry.serial));
	keyed_prepare(&s->derivation, KEYED_LONG_TERM_KEY, job->serial, s->master);
	keyed_derive(&s->derivation, job->answer, sizeof(job->answer), job->nonce,
		     sizeof(job->nonce), s->entry.ltk);
	secret_wipe(s->master, sizeof(s->master));
	secret_wipe(&s->derivation, sizeof(s->derivation));
}

/* ---- the steps ---- */

/* Shows the new long-term key, which only the device has. */
static void
show_entry(struct rekey_secrets *s)
{
	fprintf(stderr, "ekeyctl: the key has a new long-term key, which could not be stored. Add"
			" this line to the keyring; it is shown only once:\n");
	keyring_line(&s->entry, s->line);
	s->line[KEYRING_LINE_LEN] = '\n';
	terminal_tell(s->line, sizeof(s->line));
	secret_wipe(s->line, sizeof(s->line));
}

/* Changes the key and stores its new long-term key. No signal may come between the two. */
static enum exit_code
change_and_store(struct rekey_job *job)
{
	enum exit_code code;
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	code = job->access->change(job->access, job->nonce, job->answer);
	if (code == EXIT_OK) {
		printf("The key has changed its long-term key.\n");
		derive_entry(job);
		code = keyring_store_put(&job->store, &job->secrets->entry);
		if (code == EXIT_OK)
			printf("Stored in %s.\n", job->store.path);
		else
			show_entry(job->secrets);
		fflush(stdout);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

static enum exit_code
open_keyring(struct rekey_job *job, const char *path)
{
	enum exit_code code = keyring_store_open(&job->store, path);

	if (code == EXIT_OK)
		code = keyring_store_prove(&job->store, job->serial);
	if (code == EXIT_OK)
		printf("The keyring %s can be written.\n", path);
	return code;
}

static enum exit_code
start(struct rekey_job *job)
{
	uint8_t mac[KEYED_MAC_LEN];
	enum exit_code code;

	if (getrandom(job->nonce, sizeof(job->nonce), 0) != sizeof(job->nonce))
		return key_access_failed("no random bytes for a nonce");
	nonce_mac(job, mac);
	code = job->access->start(job->access, mac);
	if (code == EXIT_OK)
		printf("The key is ready.\n");
	return code;
}

static enum exit_code
run(struct rekey_job *job, const char *keyring_path)
{
	enum exit_code code = ask_master_key(job->secrets);

	if (code == EXIT_OK)
		code = open_keyring(job, keyring_path);
	if (code == EXIT_OK)
		code = start(job);
	if (code == EXIT_OK)
		code = change_and_store(job);
	keyring_store_close(&job->store);
	if (code != EXIT_OK)
		return code;
	code = job->access->prove(job->access, &job->secrets->entry);
	if (code == EXIT_OK)
		printf("The key is in session under its new long-term key: done.\n");
	else
		fprintf(stderr, "ekeyctl: the new long-term key is stored, but not yet proven\n");
	return code;
}

enum exit_code
tool_rekey(const struct tool_options *options, char **words)
{
	struct rekey_job job = {.store = {.replace = {.dir = -1, .fd = -1}}};
	char keyring_path[KEY_ACCESS_PATH_MAX];
	enum exit_code code;

	if (!keyring_serial_parse(words[0], job.serial)) {
		fprintf(stderr, "ekeyctl: %s: %s\n", words[0], KEYRING_SERIAL_HINT);
		return EXIT_USAGE;
	}
	code = options->device != NULL ? key_access_local(options, words[0], &job.access)
				       : key_access_daemon(options, words[0], &job.access);
	if (code != EXIT_OK)
		return code;
	setvbuf(stdout, NULL, _IOLBF, 0);
	key_access_keyring(options, keyring_path);
	job.secrets = secret_new(sizeof(*job.secrets));
	code = job.secrets != NULL ? run(&job, keyring_path) : EXIT_MASTER_KEY;
	secret_free(job.secrets, sizeof(*job.secrets));
	job.access->close(job.access);
	return code;
}
