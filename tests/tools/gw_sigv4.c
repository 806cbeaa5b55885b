/* lib/sigv4 without a server, for tests/sdk/sigv4_node.test.mjs: a request as a JSON object a line on stdin, {"date","authorization"} or {"err"} a
 * line on stdout.
 *   {"access","secret","region","service","now_us","method","path","query","headers":[[name,value],...],"body"} */
#include <stdio.h>
#include <stdlib.h>
#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/sigv4.h"

static struct gw_str text(const yyjson_val *o, const char *key)
{
	return gw_json_str(yyjson_obj_get((yyjson_val *)(uintptr_t)o, key));
}

static enum gw_err sign(const yyjson_val *o, char date[GW_SIGV4_DATE], char out[GW_SIGV4_AUTH_MAX], size_t *n)
{
	yyjson_val *list = yyjson_obj_get((yyjson_val *)(uintptr_t)o, "headers"), *pair;
	struct gw_sigv4_header headers[GW_SIGV4_HEADERS];
	struct gw_str body = text(o, "body");
	char hash[64];
	size_t i, max;
	struct gw_sigv4 s = {
		.access_key = text(o, "access"),
		.secret_key = text(o, "secret"),
		.region = text(o, "region"),
		.service = text(o, "service"),
		.now_us = yyjson_get_sint(yyjson_obj_get((yyjson_val *)(uintptr_t)o, "now_us")),
		.method = text(o, "method"),
		.path = text(o, "path"),
		.query = text(o, "query"),
		.headers = headers,
	};

	yyjson_arr_foreach(list, i, max, pair)
	{
		if (s.n_headers == GW_SIGV4_HEADERS)
			return GW_E_TOO_BIG;
		headers[s.n_headers++] = (struct gw_sigv4_header){ gw_json_str(yyjson_arr_get(pair, 0)),
								   gw_json_str(yyjson_arr_get(pair, 1)) };
	}
	gw_sigv4_hash(&body, 1, hash);
	s.body_hash = gw_str(hash, sizeof(hash));
	return gw_sigv4_sign(&s, date, out, n);
}

static void answer(struct gw_str line)
{
	char date[GW_SIGV4_DATE], authorization[GW_SIGV4_AUTH_MAX];
	const yyjson_val *root;
	struct gw_json_out w;
	struct gw_arena a;
	struct gw_buf out;
	size_t n = 0;
	enum gw_err e;

	gw_arena_init(&a, NULL, 0, 64 << 20);
	gw_buf_init(&out, 1 << 20);
	e = gw_json_tree(&a, line, NULL, &root, NULL);
	if (!e)
		e = sign(root, date, authorization, &n);
	gw_jw_init(&w, &out);
	gw_jw_obj(&w);
	if (e) {
		gw_jw_kstr(&w, "err", gw_str_z(gw_err_info(e)->name));
	} else {
		gw_jw_kstr(&w, "date", gw_str(date, sizeof(date)));
		gw_jw_kstr(&w, "authorization", gw_str(authorization, n));
	}
	gw_jw_end_obj(&w);
	printf("%.*s\n", GW_FMT(gw_buf_view(&out)));
	gw_buf_done(&out);
	gw_arena_done(&a);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0)
		answer(gw_str(line, (size_t)n - (line[n - 1] == '\n')));
	free(line);
	return 0;
}
