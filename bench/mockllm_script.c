/* The scripts of a corpus of upstream faults (cases.json: [{"id", ...}]), by name. What happens within an answer is a fault, and
 * its name works wherever a fault's does: header, rule, message, model. What happens before there is a request (a port that
 * refuses, a handshake that stalls, a certificate that does not fit) is an address of its own; what happens to names is played
 * by a name server. GET /mock/scripts says how each is reached. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench/mockllm.h"
#include "lib/json_write.h"
#include "lib/sys/fd.h"

enum how { BY_FAULT, BY_ADDRESS, BY_TLS, BY_NAME };

/* fault: of BY_FAULT, and what a TLS address always does; certificate: PREFIX.pem and PREFIX.key in --script-certs. */
static struct script {
	const char *id, *fault, *certificate;
	enum how how;
	enum mock_place place;
	bool is_wanted;
	struct mock_thread thread;
	uint16_t port;
} scripts[] = {
	{ .id = "refuse", .how = BY_ADDRESS, .place = MOCK_REFUSE },
	{ .id = "blackhole", .how = BY_ADDRESS, .place = MOCK_BLACKHOLE },
	{ .id = "accept-silent", .how = BY_ADDRESS, .place = MOCK_MUTE, .fault = "silent" },
	{ .id = "close-after-accept", .how = BY_ADDRESS, .place = MOCK_HANG_UP, .fault = "close" },
	{ .id = "rst-after-request", .fault = "rst" },
	{ .id = "stale-keepalive", .fault = "stale" },
	{ .id = "slow-headers", .fault = "slow-head" },
	{ .id = "slow-first-token", .fault = "slow-first" },
	{ .id = "inter-token-stall", .fault = "stall" },
	{ .id = "cut-chunked", .fault = "cut-stream" },
	{ .id = "cut-cl", .fault = "cut-body" },
	{ .id = "garbage-status", .fault = "garbage-status" },
	{ .id = "garbage-bytes", .fault = "garbage" },
	{ .id = "no-json", .fault = "html" },
	{ .id = "truncated-json", .fault = "truncated-json" },
	{ .id = "huge-json", .fault = "huge-json" },
	{ .id = "deep-json", .fault = "deep-json" },
	{ .id = "nan-usage", .fault = "nan-usage" },
	{ .id = "429", .fault = "429" },
	{ .id = "429-storm", .fault = "429" },
	{ .id = "529", .fault = "529" },
	{ .id = "500", .fault = "500" },
	{ .id = "401", .fault = "401" },
	{ .id = "tls-expired", .how = BY_TLS, .certificate = "expired" },
	{ .id = "tls-wrong-host", .how = BY_TLS, .certificate = "wrong-host" },
	{ .id = "tls-selfsigned", .how = BY_TLS, .certificate = "selfsigned" },
	{ .id = "tls-truncation", .how = BY_TLS, .certificate = "good", .fault = "until-close-cut" },
	{ .id = "tls-stall", .how = BY_ADDRESS, .place = MOCK_MUTE },
	{ .id = "h2-goaway", .fault = "h2-goaway" },
	{ .id = "chunk-huge", .fault = "chunk-huge" },
	{ .id = "chunk-overflow", .fault = "chunk-overflow" },
	{ .id = "gzip-unasked", .fault = "gzip" },
	{ .id = "gzip-bomb", .fault = "gzip-bomb" },
	{ .id = "redirect", .fault = "redirect" },
	{ .id = "1xx-flood", .fault = "1xx-flood" },
	{ .id = "header-flood", .fault = "header-flood" },
	{ .id = "header-injection", .fault = "header-injection" },
	{ .id = "trailers", .fault = "trailers" },
	{ .id = "early-response", .fault = "early" },
	{ .id = "dns-fail", .how = BY_NAME, .fault = "fail.mock" },
	{ .id = "dns-slow", .how = BY_NAME, .fault = "slow.mock" },
	{ .id = "dns-flip", .how = BY_NAME, .fault = "flip.mock" },
};
enum { N_SCRIPTS = sizeof(scripts) / sizeof(scripts[0]) };

static struct script *find(struct gw_str id)
{
	for (size_t i = 0; i < N_SCRIPTS; i++)
		if (gw_str_eq(id, gw_str_z(scripts[i].id)))
			return &scripts[i];
	return NULL;
}

const char *mock_script_fault(struct gw_str id)
{
	const struct script *s = find(id);

	return s && s->how != BY_NAME ? s->fault : NULL;
}

/* --- two faults that only scripts know --- */

/* A server that speaks HTTP/2 and is leaving: SETTINGS, RST_STREAM(REFUSED_STREAM) of stream 1, GOAWAY with no stream served. */
static void h2_goaway(struct mock_conn *c)
{
	static const char frames[] = "\0\0\0\4\0\0\0\0\0"
				     "\0\0\4\3\0\0\0\0\1\0\0\0\7"
				     "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0";

	gw_buf_put(&c->out, frames, sizeof(frames) - 1);
	c->ending = MOCK_CUT;
}

struct bits { /* deflate packs from the lowest bit on, its codes from their highest */
	struct gw_buf *b;
	uint32_t held, n;
};

static void put_bits(struct bits *w, uint32_t code, uint32_t n)
{
	while (n-- > 0) {
		w->held |= (code >> n & 1) << w->n;
		if (++w->n == 8) {
			gw_buf_putc(w->b, (char)w->held);
			w->held = w->n = 0;
		}
	}
}

/* 8 x (length 258, distance 1) in fixed codes are 13 bytes for 2064 zeros; 1 GiB takes 6.8 MB. */
static void bomb_piece(struct mock_conn *c)
{
	struct bits w = { .b = &c->body };

	gw_buf_clear(&c->body, 1 << 20);
	for (int i = 0; i < 8 * 4096; i++)
		put_bits(&w, 0xc5 << 5, 13);
	mock_chunk(c, gw_buf_view(&c->body));
	if (++c->at < 128)
		c->step = bomb_piece;
	else
		c->ending = MOCK_CUT; /* nobody gets here who does not unpack it all */
}

static void gzip_bomb(struct mock_conn *c)
{
	struct bits w = { .b = &c->body };

	mock_head(c, 200, "application/json", -1, "Content-Encoding: gzip\r\n");
	gw_buf_clear(&c->body, 65536);
	gw_buf_put(&c->body, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	put_bits(&w, 0x2, 3); /* not the last block, fixed codes */
	put_bits(&w, 0x30, 8); /* a first zero */
	while (w.n != 0)
		put_bits(&w, 0xc5 << 5, 13);
	mock_chunk(c, gw_buf_view(&c->body));
	c->step = bomb_piece;
}

static const struct mock_fault more[] = {
	{ "h2-goaway", h2_goaway, 0, "HTTP/2 frames: SETTINGS, RST_STREAM(REFUSED_STREAM), GOAWAY" },
	{ "gzip-bomb", gzip_bomb, 0, "gzip of 1 GiB of zeros" },
};

const struct mock_fault *mock_fault_more(struct gw_str name)
{
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (gw_str_eq(name, gw_str_z(more[i].name)))
			return &more[i];
	return NULL;
}

/* --- the corpus --- */

static bool fails(const char *what, const char *id)
{
	fprintf(stderr, "mockllm: %s %s\n", what, id);
	return false;
}

bool mock_script_corpus(const char *folder)
{
	char path[512];
	yyjson_doc *doc;
	yyjson_val *row;
	size_t i, n;
	bool ok;

	snprintf(path, sizeof(path), "%s/cases.json", folder);
	doc = yyjson_read_file(path, 0, NULL, NULL);
	ok = yyjson_is_arr(yyjson_doc_get_root(doc)) || fails("no list of cases in", path);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, row)
	{
		yyjson_val *id = yyjson_obj_get(row, "id");
		struct script *s = yyjson_is_str(id) ? find(gw_json_str(id)) : NULL;

		if (s)
			s->is_wanted = true;
		else
			ok = fails("no script plays", yyjson_is_str(id) ? yyjson_get_str(id) : "a case without id");
	}
	yyjson_doc_free(doc);
	return ok;
}

static int bind_port(bool listens)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	GW_REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	if (listens)
		GW_REQUIRE(listen(fd, 0) == 0);
	return fd;
}

/* A queue that is full and that nobody empties: what comes then is dropped. */
static void fill_queue(int fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(gw_socket_port(fd)) };

	for (int i = 0; i < 4; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (client >= 0 && connect(client, (struct sockaddr *)&a, sizeof(a)) == 0)
			continue; /* kept until the end of the process */
	}
}

static bool open_one(struct script *s, const char *certs)
{
	char cert[600], key[600];

	if (s->how == BY_TLS) {
		if (!certs)
			return true; /* not offered: /mock/scripts says so */
		snprintf(cert, sizeof(cert), "%s/%s.pem", certs, s->certificate);
		snprintf(key, sizeof(key), "%s/%s.key", certs, s->certificate);
		s->thread.always = s->fault;
		s->port = mock_place_open(&s->thread, MOCK_SERVE, cert, key);
		return s->port != 0;
	}
	if (s->how != BY_ADDRESS)
		return true;
	if (s->place == MOCK_REFUSE || s->place == MOCK_BLACKHOLE) {
		int fd = bind_port(s->place == MOCK_BLACKHOLE);

		s->port = gw_socket_port(fd);
		if (s->place == MOCK_BLACKHOLE)
			fill_queue(fd);
		return true;
	}
	s->port = mock_place_open(&s->thread, s->place, NULL, NULL);
	return s->port != 0;
}

bool mock_script_open(const char *certs)
{
	for (size_t i = 0; i < N_SCRIPTS; i++)
		if (scripts[i].is_wanted && !open_one(&scripts[i], certs))
			return fails("cannot open an address for", scripts[i].id);
	return true;
}

void mock_script_list(struct mock_conn *c)
{
	struct gw_json_out w;
	char url[80];

	gw_buf_clear(&c->body, 65536);
	gw_jw_init(&w, &c->body);
	gw_jw_arr(&w);
	for (size_t i = 0; i < N_SCRIPTS; i++) {
		const struct script *s = &scripts[i];

		if (!s->is_wanted)
			continue;
		gw_jw_obj(&w);
		gw_jw_kstr(&w, "id", gw_str_z(s->id));
		if (s->how == BY_NAME) {
			gw_jw_kstr(&w, "by", GW_LIT("name"));
			gw_jw_kstr(&w, "name", gw_str_z(s->fault));
		} else if (s->how == BY_FAULT) {
			gw_jw_kstr(&w, "by", GW_LIT("fault"));
			gw_jw_kstr(&w, "name", gw_str_z(s->fault));
		} else if (s->port) {
			bool is_tls = s->how == BY_TLS || strcmp(s->id, "tls-stall") == 0;

			snprintf(url, sizeof(url), "%s://%s:%u/v1", is_tls ? "https" : "http",
				 is_tls ? "localhost" : "127.0.0.1", s->port);
			gw_jw_kstr(&w, "by", GW_LIT("address"));
			gw_jw_kstr(&w, "url", gw_str_z(url));
		} else {
			gw_jw_kstr(&w, "by", GW_LIT("certificate"));
			gw_jw_kstr(&w, "name", gw_str_z(s->certificate));
		}
		gw_jw_end_obj(&w);
	}
	gw_jw_end_arr(&w);
	mock_whole(c, 200, "application/json", gw_buf_view(&c->body), "");
}
