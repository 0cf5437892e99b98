/* SPDX-License-Identifier: MIT */
/* Outlets and sources that do what the input says: tests/unit/pool_world.h. */
#include "lib/bytes.h"
#include "tests/unit/pool_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
pick(void *arg, unsigned below)
{
	const uint8_t *byte;

	return cursor_take(arg, 1, &byte) ? *byte % below : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct cursor in = cursor_over(data, size);

	world_begin(&world, pick, &in);
	while (in.left > 0)
		world_step(&world);
	if (size % 16 == 0) /* it is slow */
		world_check_wiped(&world);
	world_end(&world);
	return 0;
}
