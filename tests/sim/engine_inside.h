/* SPDX-License-Identifier: MIT */
/* What engine.c, which makes frames, and engine_commands.c, which obeys the host, share. */
#ifndef TESTS_SIM_ENGINE_INSIDE_H
#define TESTS_SIM_ENGINE_INSIDE_H

#include "tests/sim/engine.h"

#define ENGINE_NS_PER_MS UINT64_C(1000000)
#define ENGINE_ASK_NS (ENGINE_ASK_MS * ENGINE_NS_PER_MS)

/* How long a block takes; 0: no time at all. */
uint64_t engine_block_ns(const struct engine *e);

/* Writes the S frame, which is always under the key of zeros. */
void engine_serial(struct engine *e, uint8_t ret[static FRAMES_LEN]);

/* The generators have gone bad: there is neither entropy nor a key. */
bool engine_failing(const struct engine *e);

#endif
