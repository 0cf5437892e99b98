/* SPDX-License-Identifier: MIT */
#include "tests/sim/info.h"

#include <stdio.h>

/* One good block in about 1,200 fails FIPS 140-2 by chance; each test takes its turn. */
#define FIPS_FAIL_EVERY 1200
#define FIPS_BLOCKS_MAX 99999 /* what five digits can say: then the counters restart */

/* Snapshots from which the raw counters restart: the next would pass 80 kbit (10,000 bytes). */
#define RAW_STEPS 3

void
info_init(struct info *info)
{
	*info = (struct info){.badness = INFO_BADNESS_OK};
}

void
info_block(struct info *info)
{
	if (info->blocks == FIPS_BLOCKS_MAX)
		*info = (struct info){.badness = info->badness, .raw_steps = info->raw_steps};
	info->blocks++;
	if (info->blocks % FIPS_FAIL_EVERY == 0)
		info->fails[info->blocks / FIPS_FAIL_EVERY % 3]++;
	info->raw_steps = info->raw_steps % RAW_STEPS + 1;
}

/* A slow swing of 0.7 K and of 3 mV around the sample's values. */
static void
info_climate(const struct info *info, char ret[static INFO_TEXT_LEN])
{
	snprintf(ret, INFO_TEXT_LEN, "T%05u V%05u", 3143 + info->blocks / 16 % 8,
		 3254 + info->blocks / 4 % 4);
}

static void
info_fips(const struct info *info, char ret[static INFO_TEXT_LEN])
{
	const uint32_t *f = info->fails;

	snprintf(ret, INFO_TEXT_LEN, "F%05u:%05u:%05u:%05u:%05u", info->blocks, f[0] + f[1] + f[2],
		 f[0], f[1], f[2]);
}

static void
info_raw(const struct info *info, char ret[static INFO_TEXT_LEN])
{
	/* The documented sample device's numbers, reached in RAW_STEPS equal steps. */
	static const uint32_t sample[] = {8052, 23751, 23792, 23584, 7112, 20876, 8063, 24150};
	uint32_t v[8];

	for (int i = 0; i < 8; i++)
		v[i] = sample[i] * info->raw_steps / RAW_STEPS;
	snprintf(ret, INFO_TEXT_LEN, "S%05u:%05u:%05u:%05u:%05u:%05u:%05u:%05u:%c", v[0], v[1],
		 v[2], v[3], v[4], v[5], v[6], v[7], info->badness);
}

void
info_text(const struct info *info, unsigned kind, char ret[static INFO_TEXT_LEN])
{
	static void (*const text[INFO_KINDS])(const struct info *, char *) = {info_climate,
									      info_fips, info_raw};

	text[kind](info, ret);
}
