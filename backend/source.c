/* SPDX-License-Identifier: MIT */
#include "backend/source.h"

#include "backend/source_kind.h"

struct source *
source_new(const struct source_env *env, const struct source_config *config)
{
	static const struct source_kind *const kinds[] = {
		[SOURCE_EKEY] = &source_ekey, [SOURCE_EGD] = &source_egd};

	return kinds[config->type]->new (env, config);
}

void
source_note_credit(const struct source_env *env, unsigned credit)
{
	if (env->credit != NULL && credit < *env->credit)
		*env->credit = credit;
}

void
source_free(struct source **source)
{
	if (*source != NULL)
		(*source)->kind->free(*source);
	*source = NULL;
}

void
source_room(struct source *source)
{
	source->kind->room(source);
}

void
source_wanted(struct source *source)
{
	source->kind->wanted(source);
}

void
source_stand_by(struct source *source, bool on)
{
	if (source->kind->stand_by != NULL)
		source->kind->stand_by(source, on);
}

void
source_renew(struct source *source)
{
	source->kind->renew(source);
}

void
source_keyring_changed(struct source *source)
{
	if (source->kind->keyring_changed != NULL)
		source->kind->keyring_changed(source);
}

bool
source_rekey(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
	     const uint8_t mac[static KEYED_MAC_LEN], rekeying_fn *fn, void *arg)
{
	return source->kind->rekey != NULL && source->kind->rekey(source, serial, mac, fn, arg);
}

bool
source_rekey_change(struct source *source, const uint8_t serial[static KEYED_SERIAL_LEN],
		    const uint8_t nonce[static REKEY_NONCE_LEN])
{
	return source->kind->rekey_change != NULL &&
	       source->kind->rekey_change(source, serial, nonce);
}

void
source_describe(const struct source *source, char *ret, size_t cap)
{
	ret[0] = '\0';
	if (source->kind->describe != NULL)
		source->kind->describe(source, ret, cap);
}

void
source_status(const struct source *source, struct source_status *ret)
{
	source->kind->status(source, ret);
}
