/* SPDX-License-Identifier: MIT */
/* A connection's first bytes where a proxy's header is due: more bytes never change a verdict. */
#include "egd/proxy.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum egd_proxy_found found = EGD_PROXY_PARTIAL;
	char text[ADDRESS_TEXT_MAX];
	struct egd_proxy proxy;

	for (size_t len = 0; len <= size && found == EGD_PROXY_PARTIAL; len++) {
		struct cursor in = cursor_over(data, len), all = cursor_over(data, size);
		enum egd_proxy_found finally;

		found = egd_proxy_parse(&in, &proxy);
		promise(found == EGD_PROXY_WHOLE ? in.left == 0 : in.left == len,
			"a header is taken whole, at its last byte, or not at all");
		if (found == EGD_PROXY_PARTIAL)
			continue;
		finally = egd_proxy_parse(&all, &proxy);
		promise(finally == found, "more bytes do not change what was decided");
		promise(found != EGD_PROXY_WHOLE || all.left == size - len, "nor what was taken");
	}
	promise(found != EGD_PROXY_PARTIAL || size < EGD_PROXY_MAX, "it is decided at last");
	if (found == EGD_PROXY_WHOLE && proxy.forwarded)
		address_text(&proxy.client, text);
	promise(found != EGD_PROXY_WHOLE || proxy.client.any.sa_family != AF_INET6 ||
			!IN6_IS_ADDR_V4MAPPED(&proxy.client.in6.sin6_addr),
		"an IPv4 client has an IPv4 address");
	return 0;
}
