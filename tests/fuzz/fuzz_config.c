/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the file holds: good, or errors with a line and a text; what is good is in its bounds.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c;
	struct config_errors errors;

	if (!config_parse((const char *)data, size, &c, &errors)) {
		assert(errors.count > 0);
		for (size_t i = 0; i < errors.count && i < CONFIG_ERRORS_MAX; i++)
			assert(errors.at[i].line > 0 && errors.at[i].text[0] != '\0');
		return 0;
	}
	assert(errors.count == 0 && c.pool_size >= POOL_SIZE_MIN);
	assert(c.source_count <= CONFIG_SOURCES_MAX && c.device_count <= CONFIG_DEVICES_MAX);
	for (size_t i = 0; i < c.source_count; i++)
		assert(source_addresses_error(c.sources[i].address) == NULL &&
		       c.sources[i].name[0] != '\0');
	for (size_t i = 0; i < c.device_count; i++)
		assert(c.devices[i].path[0] == '/' && c.devices[i].name[0] != '\0');
	return 0;
}
