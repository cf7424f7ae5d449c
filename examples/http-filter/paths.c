//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// Keeps strangers out of /admin, and unusual methods out of everything.

#include "request.h"

enum { GET = 1, HEAD = 2, POST = 3 };

SEC("http_request")
int paths(struct http_request *r)
{
	static const char admin[] = "/admin";
	const char *path = r->data, *end = r->data_end;

	if (r->method != GET && r->method != HEAD && r->method != POST) {
		r->status = 405;
		return HTTP_DENY;
	}
	if (path + sizeof(admin) - 1 > end)
		return HTTP_ALLOW;
	for (unsigned i = 0; i < sizeof(admin) - 1; i++)
		if (path[i] != admin[i])
			return HTTP_ALLOW;
	path += sizeof(admin) - 1;
	if (path + 1 <= end && *path != '/')
		return HTTP_ALLOW; // "/administrators"
	if (is_internal(r->client_hi, r->client_lo))
		return HTTP_ALLOW;
	r->status = 404; // strangers need not know that there is one
	return HTTP_DENY;
}
