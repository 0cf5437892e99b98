/* SPDX-License-Identifier: MIT */
#include "daemon/config_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/num.h"
#include "ctl/protocol.h"
#include "daemon/config_source.h"
#include "daemon/haproxy.h"
#include "egd/egd_wire.h"
#include "egd/listener.h"
#include "egd/networks.h"
#include "pool/bucket.h"

#define DEFAULT_KEYRING "/etc/ekey-random/keyring"
#define DEFAULT_CONTROL_MODE 0600
#define DEFAULT_DEVICE_MODE 0444
#define DEFAULT_LISTEN_MODE 0660
#define DEFAULT_LISTEN_CLIENTS 512
#define HOUR_MS UINT64_C(3600000)
#define DEFAULT_LISTEN_IDLE_MS (24 * HOUR_MS) /* a guest that asks for nothing asks later */
#define LISTEN_IDLE_MAX_MS (8760 * HOUR_MS)
#define DEFAULT_POOL_SIZE (1U << 20) /* ekeyd's: six minutes of one key */
#define DEFAULT_POOL_RESERVE 4096    /* 64 feeds of the kernel: an hour without a source */
#define POOL_RESERVE_MAX (1U << 20)
#define POOL_SIZE_MAX (1U << 30) /* locked memory: more is surely a mistake */

static const char *
parse_text(void *field, size_t size, const char *value)
{
	if (strlen(value) >= size)
		return "it is too long";
	memcpy(field, value, strlen(value) + 1);
	return NULL;
}

static const char *
parse_path(void *field, size_t size, const char *value)
{
	if (value[0] != '/')
		return "an absolute path is needed";
	return parse_text(field, size, value);
}

static const char *
parse_user(void *field, size_t size, const char *value)
{
	if (value[0] == '-' || value[strspn(value, CONFIG_NAME_CHARS)] != '\0')
		return "a user name is needed";
	return parse_text(field, size, value);
}

static const char *
parse_agent(void *field, size_t size, const char *value)
{
	struct address address;
	const char *error = "tcp:ADDRESS:PORT is needed";

	if (strncmp(value, HAPROXY_PREFIX, strlen(HAPROXY_PREFIX)) == 0)
		error = address_parse_inet(value + strlen(HAPROXY_PREFIX), &address);
	return error != NULL ? error : parse_text(field, size, value);
}

/* Octal permission bits, all of them within `allowed`. */
static const char *
parse_mode(mode_t *field, mode_t allowed, const char *value, const char *error)
{
	mode_t mode = 0;

	if (strlen(value) > 4)
		return error;
	for (const char *at = value; *at != '\0'; at++) {
		if (*at < '0' || *at > '7')
			return error;
		mode = mode << 3 | (mode_t)(*at - '0');
	}
	if ((mode & ~allowed) != 0)
		return error;
	*field = mode;
	return NULL;
}

static const char *
parse_control_mode(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_mode(field, 0666, value, "an octal mode within 0666 is needed");
}

static const char *
parse_device_mode(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_mode(field, 0444, value,
			  "an octal mode within 0444 is needed: none may write");
}

/* A size from `min` to `max` bytes; else `error`, or what is wrong with its unit. */
static const char *
parse_size(uint64_t *field, uint64_t min, uint64_t max, const char *value, const char *error)
{
	const char *unit_error = num_size_unit_error(value);
	uint64_t bytes;

	if (unit_error != NULL)
		return unit_error;
	if (!num_parse_size(value, max, &bytes) || bytes < min)
		return error;
	*field = bytes;
	return NULL;
}

static const char *
parse_duration(uint64_t *field, uint64_t min_ms, uint64_t max_ms, const char *value,
	       const char *error)
{
	const char *unit_error = num_duration_unit_error(value);
	uint64_t ms;

	if (unit_error != NULL)
		return unit_error;
	if (!num_parse_duration(value, max_ms, &ms) || ms < min_ms)
		return error;
	*field = ms;
	return NULL;
}

static const char *
parse_memory(void *field, uint64_t min, uint64_t max, const char *value, const char *error)
{
	uint64_t bytes;

	error = parse_size(&bytes, min, max, value, error);
	if (error == NULL)
		*(size_t *)field = bytes;
	return error;
}

static const char *
parse_pool_size(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_memory(field, POOL_SIZE_MIN, POOL_SIZE_MAX, value,
			    "a size from 8KiB to 1GiB is needed");
}

static const char *
parse_pool_reserve(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_memory(field, POOL_GATHER_MAX, POOL_RESERVE_MAX, value,
			    "a size from 256 bytes to 1MiB is needed");
}

static const char *
parse_kernel_bytes(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_memory(field, KERNEL_BYTES_MIN, KERNEL_BYTES_MAX, value,
			    "16 to 256 bytes are possible");
}

static const char *
parse_kernel_interval(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_duration(field, KERNEL_INTERVAL_MIN_MS, KERNEL_INTERVAL_MAX_MS, value,
			      "a time from 1s to 24h is needed");
}

static const char *
parse_kernel_credit(void *field, size_t size, const char *value)
{
	(void)size;
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return "expected yes or no";
	*(bool *)field = strcmp(value, "yes") == 0;
	return NULL;
}

static const char *
parse_via(void *field, size_t size, const char *value)
{
	static const struct {
		const char *name;
		enum device_via via;
	} ways[] = {
		{"auto", DEVICE_VIA_AUTO}, {"cuse", DEVICE_VIA_CUSE}, {"fuse", DEVICE_VIA_FUSE}};

	(void)size;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(value, ways[i].name) == 0) {
			*(enum device_via *)field = ways[i].via;
			return NULL;
		}
	}
	return "auto, cuse or fuse is needed";
}

static const char *
parse_listen_address(void *field, size_t size, const char *value)
{
	const char *error = egd_listener_address_error(value);

	return error != NULL ? error : parse_text(field, size, value);
}

static const char *
parse_networks(void *field, size_t size, const char *value)
{
	struct egd_networks networks;
	const char *error = egd_networks_parse(value, &networks);

	return error != NULL ? error : parse_text(field, size, value);
}

static const char *
parse_proxies(void *field, size_t size, const char *value)
{
	struct egd_proxies proxies;
	const char *error = egd_proxies_parse(value, &proxies);

	return error != NULL ? error : parse_text(field, size, value);
}

static const char *
parse_socket_mode(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_mode(field, 0666, value, "an octal mode within 0666 is needed");
}

static const char *
parse_rate(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_size(field, 1, BUCKET_RATE_MAX, value, "bytes per second are needed: 64KiB");
}

static const char *
parse_burst(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_size(field, EGD_BURST_MIN, BUCKET_BURST_MAX, value,
			  "at least 255 bytes are needed: one request may ask for as many");
}

static const char *
parse_weight(void *field, size_t size, const char *value)
{
	uint64_t weight;

	(void)size;
	if (!num_parse(value, POOL_WEIGHT_MAX, &weight) || weight == 0)
		return "it must be 1 to 100";
	*(unsigned *)field = (unsigned)weight;
	return NULL;
}

static const char *
parse_clients(void *field, size_t size, const char *value)
{
	uint64_t clients;

	(void)size;
	if (!num_parse(value, EGD_CLIENTS_MAX, &clients) || clients == 0)
		return "1 to 65536 are possible";
	*(unsigned *)field = (unsigned)clients;
	return NULL;
}

static const char *
parse_idle(void *field, size_t size, const char *value)
{
	(void)size;
	return parse_duration(field, 1, LISTEN_IDLE_MAX_MS, value, "a time is needed: 60s, 24h");
}

static const char *
parse_greet(void *field, size_t size, const char *value)
{
	uint64_t bytes;

	(void)size;
	if (!num_parse(value, EGD_LEN_MAX, &bytes))
		return "greet must be 0..255 bytes";
	*(uint8_t *)field = (uint8_t)bytes;
	return NULL;
}

static const char *
check_device_class(void *field, size_t size, const char *value)
{
	(void)field, (void)size;
	return strcmp(value, "direct") == 0 ? NULL : "the only class is direct";
}

#define IN(type, field) offsetof(struct type, field), sizeof(((struct type *)NULL)->field)
#define ONLY_CHECKED 0, 0
#define REQUIRED true
#define OPTIONAL false

const struct config_key config_keys[] = {
	{"daemon", "user", parse_user, IN(config, user), OPTIONAL,
	 "become this user once devices and sockets are open; default: ekey-random, where root "
	 "starts"
	 " the daemon and that user exists; root: stay root"},
	{"daemon", "keyring", parse_path, IN(config, keyring), OPTIONAL,
	 "file of long-term keys; default " DEFAULT_KEYRING},
	{"daemon", "control", parse_path, IN(config, control), OPTIONAL,
	 "control socket for ekeyctl; default " CTL_SOCKET_PATH},
	{"daemon", "control-mode", parse_control_mode, IN(config, control_mode), OPTIONAL,
	 "permission bits of the control socket, octal; default 0600"},
	{"source", "type", config_source_parse_type, IN(source_config, type), REQUIRED,
	 "what it is: ekey, an Entropy Key, or egd, an EGD server"},
	{"source", "address", config_source_parse_address, IN(source_config, address), REQUIRED,
	 "where it is: usb (every key that no other source names), usb:SERIAL, the path of a tty,"
	 " unix:PATH of a stream socket; egd: tcp:HOST:PORT, tls:HOST:PORT, vsock:CID:PORT, "
	 "tty:PATH"
	 " too, and several with commas"},
	{"source", "h", config_source_parse_h, IN(source_config, h), OPTIONAL,
	 "min-entropy that its health tests assume, bits per byte, 1 to 8; default 7"},
	{"source", "credit", config_source_parse_credit, IN(source_config, credit), OPTIONAL,
	 "min-entropy that the kernel is credited with for its bytes, bits per byte; default 7"},
	{"source", "expect", config_source_parse_expect, IN(source_config, expect), OPTIONAL,
	 "keys that should be there: fewer are reported; absent: none in particular"},
	{"source", "class", config_source_parse_class, IN(source_config, expanded), OPTIONAL,
	 "what an EGD server serves: direct or expanded; default direct"},
	{"source", "trusted", config_source_parse_trusted, IN(source_config, trust), OPTIONAL,
	 "whether an EGD server's bytes may enter the pool: yes or no; default yes but for tcp:"},
	{"source", "policy", config_source_parse_policy, IN(source_config, policy), OPTIONAL,
	 "of several addresses, ask all, or failover: the first that serves; default all"},
	{"source", "read-ahead", config_source_parse_read_ahead, IN(source_config, read_ahead),
	 OPTIONAL,
	 "bytes that an EGD server is asked for at once, and kept ready of it; default 4KiB"},
	{"source", "timeout", config_source_parse_timeout, IN(source_config, timeout_ms), OPTIONAL,
	 "the longest wait for an EGD server's reply, 1s to 1h; default 30s"},
	{"source", "psk", parse_path, IN(source_config, tls.psk), OPTIONAL,
	 "file of lines identity:hexkey, by which a server at tls: and we know each other"},
	{"source", "identity", parse_text, IN(source_config, tls.identity), OPTIONAL,
	 "the line of psk that is ours; default its first"},
	{"source", "ca", parse_path, IN(source_config, tls.ca), OPTIONAL,
	 "file of root certificates (PEM) that vouch for the name of a server at tls:"},
	{"source", "cert", parse_path, IN(source_config, tls.cert), OPTIONAL,
	 "file of our certificate (PEM), for a server at tls: that asks for one"},
	{"source", "key", parse_path, IN(source_config, tls.key), OPTIONAL,
	 "file of its private key (PEM, no password); default the file of cert"},
	{"device", "path", parse_path, IN(device_config, path), REQUIRED,
	 "what readers open, for example /dev/ekey-random"},
	{"device", "class", check_device_class, ONLY_CHECKED, OPTIONAL,
	 "what it serves: direct, each byte of the sources once; default direct"},
	{"device", "via", parse_via, IN(device_config, via), OPTIONAL,
	 "carrier: auto, cuse or fuse; default auto"},
	{"device", "mode", parse_device_mode, IN(device_config, mode), OPTIONAL,
	 "permission bits of the device, octal; default 0444"},
	{"agent", "address", parse_agent, IN(config, agent), REQUIRED,
	 "where HAProxy's agent-check asks: tcp:ADDRESS:PORT"},
	{"agent", "allow", parse_networks, IN(config, agent_allow), OPTIONAL,
	 "networks that may ask; required where others than this machine can"},
	{"listen", "address", parse_listen_address, IN(egd_listen_config, address), REQUIRED,
	 "where clients come: unix:PATH, tcp:ADDRESS:PORT, tls:ADDRESS:PORT, vsock:PORT,"
	 " systemd:NAME, xen:DIRECTORY"},
	{"listen", "class", check_device_class, ONLY_CHECKED, OPTIONAL,
	 "what it serves: direct, each byte of the sources once; default direct"},
	{"listen", "allow", parse_networks, IN(egd_listen_config, allow), OPTIONAL,
	 "networks whose addresses may connect; needed where others than this machine can"},
	{"listen", "proxy-from", parse_proxies, IN(egd_listen_config, proxy_from), OPTIONAL,
	 "networks of proxies, which say with a PROXY header for whom they connect"},
	{"listen", "mode", parse_socket_mode, IN(egd_listen_config, mode), OPTIONAL,
	 "permission bits of a Unix socket, octal; default 0660"},
	{"listen", "owner", parse_text, IN(egd_listen_config, owner), OPTIONAL,
	 "USER, USER:GROUP or :GROUP of a Unix socket; default our own"},
	{"listen", "psk", parse_path, IN(egd_listen_config, psk), OPTIONAL,
	 "file of pre-shared keys for TLS, lines IDENTITY:HEXKEY"},
	{"listen", "cert", parse_path, IN(egd_listen_config, cert), OPTIONAL,
	 "file of our certificate for TLS, and of those that lead to its root, PEM"},
	{"listen", "key", parse_path, IN(egd_listen_config, key), OPTIONAL,
	 "file of the certificate's key, PEM; absent: in cert"},
	{"listen", "ca", parse_path, IN(egd_listen_config, ca), OPTIONAL,
	 "file of roots, PEM: clients must have a certificate that leads to one"},
	{"listen", "rate", parse_rate, IN(egd_listen_config, rate), OPTIONAL,
	 "bytes per second that one identity may have; absent: any"},
	{"listen", "burst", parse_burst, IN(egd_listen_config, burst), OPTIONAL,
	 "bytes that one identity may have at once; default a second's worth"},
	{"listen", "weight", parse_weight, IN(egd_listen_config, weight), OPTIONAL,
	 "how much each identity here gets when bytes are scarce, 1 to 100; default 1"},
	{"listen", "max-clients", parse_clients, IN(egd_listen_config, max_clients), OPTIONAL,
	 "connections at once, 1 to 65536; default 512"},
	{"listen", "idle", parse_idle, IN(egd_listen_config, idle_ms), OPTIONAL,
	 "a connection that asks nothing for so long is closed; default 24h"},
	{"listen", "greet", parse_greet, IN(egd_listen_config, greet), OPTIONAL,
	 "bytes sent to each client as soon as it connects, 0 to 255: 64 where every client is "
	 "QEMU;"
	 " default 0"},
	{"pool", "reserve", parse_pool_reserve, IN(config, pool_reserve), OPTIONAL,
	 "bytes kept beside them for [kernel] alone, 256 bytes to 1MiB; default 4KiB"},
	{"pool", "size", parse_pool_size, IN(config, pool_size), OPTIONAL,
	 "bytes kept ready, with a unit: 8KiB to 1GiB; default 1MiB"},
	{"kernel", "bytes", parse_kernel_bytes, IN(config, kernel.bytes), OPTIONAL,
	 "given to the kernel's random generator each time, 16 to 256; default 64"},
	{"kernel", "interval", parse_kernel_interval, IN(config, kernel.interval_ms), OPTIONAL,
	 "how often, when the kernel does not ask for more: 1s to 24h; default 60s"},
	{"kernel", "credit", parse_kernel_credit, IN(config, kernel.credit), OPTIONAL,
	 "whether the kernel is credited with entropy, which needs CAP_SYS_ADMIN; default no"},
	{NULL, NULL, NULL, 0, 0, OPTIONAL, NULL},
};

const struct config_key *
config_key_find(const char *section, const char *name)
{
	for (const struct config_key *key = config_keys; key->section != NULL; key++)
		if (strcmp(section, key->section) == 0 && strcmp(name, key->name) == 0)
			return key;
	return NULL;
}

void
config_defaults(struct config *config)
{
	*config = (struct config){.keyring = DEFAULT_KEYRING,
				  .control = CTL_SOCKET_PATH,
				  .control_mode = DEFAULT_CONTROL_MODE,
				  .pool_size = DEFAULT_POOL_SIZE,
				  .pool_reserve = DEFAULT_POOL_RESERVE,
				  .kernel = {.bytes = KERNEL_BYTES_DEFAULT,
					     .interval_ms = KERNEL_INTERVAL_DEFAULT_MS}};
}

void
config_source_defaults(struct source_config *source)
{
	*source = (struct source_config){.h = HEALTH_H_DEFAULT,
					 .credit = SOURCE_CREDIT_DEFAULT,
					 .read_ahead = SOURCE_READ_AHEAD_DEFAULT,
					 .timeout_ms = SOURCE_TIMEOUT_DEFAULT_MS};
}

void
config_device_defaults(struct device_config *device)
{
	*device = (struct device_config){.via = DEVICE_VIA_AUTO, .mode = DEFAULT_DEVICE_MODE};
}

void
config_listen_defaults(struct egd_listen_config *listen)
{
	*listen = (struct egd_listen_config){.mode = DEFAULT_LISTEN_MODE,
					     .weight = 1,
					     .max_clients = DEFAULT_LISTEN_CLIENTS,
					     .idle_ms = DEFAULT_LISTEN_IDLE_MS};
}
