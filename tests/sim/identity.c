/* SPDX-License-Identifier: MIT */
#include "tests/sim/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/ekey/masterkey.h"
#include "backend/ekey/pem64.h"

#define KEYRING_MODE 0600

static bool
parse_exact(const char *text, size_t want_len, uint8_t *ret)
{
	size_t len;

	return strlen(text) == PEM64_TEXT_LEN(want_len) &&
	       pem64_decode(text, strlen(text), want_len, ret, &len) && len == want_len;
}

static bool
parse_hex(const char *text, uint8_t ret[static KEYED_SECRET_LEN])
{
	size_t len;

	return strlen(text) == 2 * KEYED_SECRET_LEN &&
	       OPENSSL_hexstr2buf_ex(ret, KEYED_SECRET_LEN, &len, text, '\0') == 1 &&
	       len == KEYED_SECRET_LEN;
}

bool
identity_parse_serial(const char *text, uint8_t ret[static KEYED_SERIAL_LEN])
{
	return parse_exact(text, KEYED_SERIAL_LEN, ret);
}

bool
identity_parse_ltk(const char *text, uint8_t ret[static KEYED_SECRET_LEN])
{
	return parse_hex(text, ret) || parse_exact(text, KEYED_SECRET_LEN, ret);
}

bool
identity_parse_master(const char *text, uint8_t ret[static KEYED_SECRET_LEN])
{
	return parse_hex(text, ret) || masterkey_parse(text, ret);
}

void
identity_line(const uint8_t serial[static KEYED_SERIAL_LEN],
	      const uint8_t ltk[static KEYED_SECRET_LEN], char ret[static IDENTITY_LINE_LEN])
{
	pem64_encode(serial, KEYED_SERIAL_LEN, ret);
	ret[PEM64_TEXT_LEN(KEYED_SERIAL_LEN)] = ' ';
	pem64_encode(ltk, KEYED_SECRET_LEN, ret + PEM64_TEXT_LEN(KEYED_SERIAL_LEN) + 1);
	ret[IDENTITY_LINE_LEN - 1] = '\0';
}

static int
write_fresh(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, KEYRING_MODE);
	int written = fd < 0 ? -1 : dprintf(fd, "%s\n", line);
	int result = written < 0 ? -errno : 0;

	if (fd >= 0 && close(fd) != 0 && result == 0)
		result = -errno;
	return result;
}

int
identity_write_keyring(const char *path, const char *line)
{
	char fresh[PATH_MAX];
	int result;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	(void)unlink(fresh);
	result = write_fresh(fresh, line);
	if (result == 0 && rename(fresh, path) != 0)
		result = -errno;
	return result;
}
