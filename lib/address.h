/* SPDX-License-Identifier: MIT */
/* Addresses of sockets, from and to text: IPv4, IPv6, vsock. Pure; names are resolved elsewhere. */
#ifndef LIB_ADDRESS_H
#define LIB_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h> /* older ones need <sys/socket.h> before them */

#define ADDRESS_TEXT_MAX 72  /* "[V6%scope]:PORT", "vsock CID:PORT" and a NUL */
#define ADDRESS_HOST_MAX 254 /* the longest name in the DNS, and a NUL */

struct address {
	socklen_t len;
	union {
		struct sockaddr any; /* .sa_family is AF_INET, AF_INET6, AF_VSOCK, else unknown */
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_vm vm;
	};
};

/* A host and a port as they were written; the host may be a name. */
struct address_host {
	char host[ADDRESS_HOST_MAX]; /* without brackets */
	uint16_t port;
};

/* These return NULL, or what is wrong with the text; *ret is then not touched. */

/* "NAME:PORT", "V4:PORT", "[V6]:PORT". Port 1..65535. */
const char *address_parse_host(const char *text, struct address_host *ret);

/* "V4:PORT", "[V6]:PORT"; "[::]:PORT" to listen on every address of both kinds. */
const char *address_parse_inet(const char *text, struct address *ret);

/* "PORT", for every CID that is ours. */
const char *address_parse_vsock_listen(const char *text, struct address *ret);

/* "CID:PORT"; the host is CID 2. */
const char *address_parse_vsock(const char *text, struct address *ret);

/* False when `ip` is no address in numbers. */
bool address_from_ip(const char *ip, uint16_t port, struct address *ret);

/* IPv4 that came in over an IPv6 socket (::ffff:a.b.c.d) becomes IPv4. */
void address_unmap(struct address *address);

/* As people write it, with the port: "192.0.2.1:4711", "[2001:db8::1]:80", "vsock 3:1024", "unix".
 */
void address_text(const struct address *address, char ret[static ADDRESS_TEXT_MAX]);

/* True when it is this machine's own IP loopback. */
bool address_is_loopback(const struct address *address);

#endif
