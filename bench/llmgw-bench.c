/* llmgw-bench: options, the two requests it sends, and the address. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "bench/llmgw-bench.h"
#include "lib/crypto.h"
#include "lib/json_write.h"
#include "lib/secret.h"
#include "lib/sys/fd.h"

struct bench_options bench_options = {
	.model = "demo",
	.message = "Say hello.",
	.hold_message = "mock: chunks=1000000 chunk_ms=5000",
	.connections = 64,
	.body_bytes = 1024,
	.timeout_ms = 30000,
	.duration_ms = 10000,
	.warmup_ms = 2000,
	.quiet_ms = 2000,
};

static const struct option rows[] = {
	{ "url", 1, NULL, 'u' },
	{ "key-file", 1, NULL, 'k' },
	{ "model", 1, NULL, 'm' },
	{ "rate", 1, NULL, 'r' },
	{ "connections", 1, NULL, 'c' },
	{ "requests", 1, NULL, 'n' },
	{ "duration", 1, NULL, 'd' },
	{ "warmup", 1, NULL, 'w' },
	{ "body-bytes", 1, NULL, 'b' },
	{ "message", 1, NULL, 'M' },
	{ "stream", 0, NULL, 's' },
	{ "hold-streams", 1, NULL, 'H' },
	{ "hold-message", 1, NULL, 'h' },
	{ "hold-quiet", 1, NULL, 'Q' },
	{ "timeout", 1, NULL, 't' },
	{ "pid", 1, NULL, 'p' },
	{ "tree", 1, NULL, 'T' },
	{ "ca", 1, NULL, 'a' },
	{ "server-name", 1, NULL, 'S' },
	{ "json", 0, NULL, 'j' },
	{ "self-check", 0, NULL, 'x' },
	{ "quiet", 0, NULL, 'q' },
	{ "help", 0, NULL, 'z' },
	{ "version", 0, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void help(void)
{
	puts("llmgw-bench: loads an OpenAI-compatible endpoint and says what it costs\n"
	     "\n"
	     "  --url URL            http(s)://host:port[/v1]; required\n"
	     "  --key-file FILE      the API key; default $LLMGW_KEY\n"
	     "  --model NAME         (demo)\n"
	     "  --rate N             open loop: N requests a second come due whatever the answers do; latency counts "
	     "from then\n"
	     "  --connections N      connections (64); without --rate each asks as soon as it has its answer (closed "
	     "loop)\n"
	     "  --duration DUR, --warmup DUR   3s, 500ms, ... (10s, 2s)\n"
	     "  --requests N         stop after exactly N requests instead; no warm-up\n"
	     "  --body-bytes N       size of the request's body (1024)\n"
	     "  --message TEXT       the user's message; mockllm obeys \"mock: bytes=1024 chunks=50 chunk_ms=20\"\n"
	     "  --stream             ask for streams: time to the first token, gaps between tokens\n"
	     "  --hold-streams N     keep N more streams open meanwhile; --hold-message TEXT is what they ask,\n"
	     "                       --hold-quiet DUR how long their own cost is measured first (2s)\n"
	     "  --timeout DUR        longest wait for an answer (30s)\n"
	     "  --pid PID, --tree PID   measure the CPU time of this process, or of it and all below it; may be "
	     "repeated\n"
	     "  --ca FILE            PEM certificates to trust for https; default the system's. --server-name NAME to "
	     "verify\n"
	     "  --json               one JSON object instead of the table\n"
	     "  --self-check         exit 3 when the generator itself was saturated or late\n"
	     "  --quiet              no progress\n"
	     "\n"
	     "Exit: 0 it ran (look at the errors), 1 it could not, 2 wrong options, 3 see --self-check");
}

static _Noreturn void die(const char *what, const char *arg)
{
	fprintf(stderr, "llmgw-bench: %s%s%s\n", what, arg ? ": " : "", arg ? arg : "");
	exit(2);
}

static uint64_t number(const char *arg, uint64_t max)
{
	uint64_t v = 0;

	if (!gw_str_u64(gw_str_z(arg), &v) || v > max)
		die("not a number, or too large", arg);
	return v;
}

/* "3s", "500ms", "2m"; a bare number is seconds. */
static uint64_t duration(const char *arg)
{
	struct gw_str s = gw_str_z(arg);
	uint64_t unit = 1000, v = 0;

	if (s.n > 2 && memcmp(s.p + s.n - 2, "ms", 2) == 0) {
		unit = 1;
		s.n -= 2;
	} else if (s.n > 1 && (s.p[s.n - 1] == 's' || s.p[s.n - 1] == 'm')) {
		unit = s.p[s.n - 1] == 's' ? 1000 : 60000;
		s.n--;
	}
	if (!gw_str_u64(s, &v) || v > 86400)
		die("not a duration (3s, 500ms, 2m)", arg);
	return v * unit;
}

static void add_root(const char *arg, bool is_tree)
{
	struct bench_options *o = &bench_options;

	if (o->n_roots == BENCH_MAX_ROOTS)
		die("too many --pid and --tree", NULL);
	o->roots[o->n_roots++] = (struct bench_root){ .pid = (int)number(arg, 1 << 22), .is_tree = is_tree };
}

/* Options whose text is taken as it is. */
static bool read_text(int ch)
{
	struct bench_options *o = &bench_options;
	const struct {
		int ch;
		const char **to;
	} texts[] = {
		{ 'u', &o->url },          { 'k', &o->key_file }, { 'm', &o->model },     { 'M', &o->message },
		{ 'h', &o->hold_message }, { 'a', &o->ca_path },  { 'S', &o->host_name },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (texts[i].ch != ch)
			continue;
		*texts[i].to = optarg;
		return true;
	}
	return false;
}

static void read_option(int ch)
{
	struct bench_options *o = &bench_options;

	if (read_text(ch))
		return;
	switch (ch) {
	case 'r':
		o->rate = number(optarg, 1000000);
		break;
	case 'c':
		o->connections = number(optarg, BENCH_MAX_CONNECTIONS);
		break;
	case 'n':
		o->requests = number(optarg, 1u << 31);
		break;
	case 'd':
		o->duration_ms = duration(optarg);
		break;
	case 'w':
		o->warmup_ms = duration(optarg);
		break;
	case 'b':
		o->body_bytes = number(optarg, 32 << 20);
		break;
	case 's':
		o->is_stream = true;
		break;
	case 'H':
		o->hold_streams = number(optarg, BENCH_MAX_CONNECTIONS);
		break;
	case 'Q':
		o->quiet_ms = duration(optarg);
		break;
	case 't':
		o->timeout_ms = duration(optarg);
		break;
	case 'p':
		add_root(optarg, false);
		break;
	case 'T':
		add_root(optarg, true);
		break;
	case 'j':
		o->is_json = true;
		break;
	case 'x':
		o->is_self_check = true;
		break;
	case 'q':
		o->is_silent = true;
		break;
	case 'z':
		help();
		exit(0);
	case 'V':
		puts("llmgw-bench " LLMGW_VERSION);
		exit(0);
	default:
		die("see --help", NULL);
	}
}

static void read_options(int argc, char **argv)
{
	for (int ch; (ch = getopt_long(argc, argv, "", rows, NULL)) != -1;)
		read_option(ch);
	if (optind < argc)
		die("unexpected argument", argv[optind]);
	if (!bench_options.url)
		die("--url is required, see --help", NULL);
	if (bench_options.connections == 0)
		die("--connections wants at least 1", NULL);
}

/* {"model","messages":[system: padding to the size asked for, user: the message],"stream"} */
static void put_body(struct gw_buf *b, const char *message, bool is_stream, size_t bytes)
{
	struct gw_buf tail;
	size_t used;

	gw_buf_init(&tail, 1 << 20);
	gw_buf_puts(&tail, GW_LIT("\"},{\"role\":\"user\",\"content\":"));
	gw_json_quote(&tail, gw_str_z(message));
	gw_buf_puts(&tail, GW_LIT("}]}"));
	gw_buf_puts(b, GW_LIT("{\"model\":"));
	gw_json_quote(b, gw_str_z(bench_options.model));
	gw_buf_puts(b, is_stream ? GW_LIT(",\"stream\":true,\"messages\":[") : GW_LIT(",\"messages\":["));
	gw_buf_puts(b, GW_LIT("{\"role\":\"system\",\"content\":\""));
	used = gw_buf_len(b) + gw_buf_len(&tail);
	for (size_t i = used; i < bytes; i++)
		gw_buf_putc(b, i % 8 == 7 ? ' ' : (char)('a' + i % 26));
	gw_buf_puts(b, gw_buf_view(&tail));
	gw_buf_done(&tail);
}

static void make_request(struct bench_run *r, struct gw_buf *out, struct gw_str key, const char *message,
			 bool is_stream, size_t bytes)
{
	struct gw_buf body;
	struct gw_str path = r->url.path;

	gw_buf_init(&body, 64 << 20);
	gw_buf_init(out, 65 << 20);
	put_body(&body, message, is_stream, bytes);
	gw_buf_printf(out, "POST %s%.*s%s HTTP/1.1\r\nHost: %s%.*s%s:%u\r\nUser-Agent: llmgw-bench\r\n",
		      path.n ? "" : "/v1", GW_FMT(path),
		      path.n == 0 || (path.n >= 3 && memcmp(path.p + path.n - 3, "/v1", 3) == 0) ? "/chat/completions"
												 : "",
		      r->url.is_ipv6 ? "[" : "", GW_FMT(r->url.host), r->url.is_ipv6 ? "]" : "", r->url.port);
	if (key.n > 0) {
		gw_buf_puts(out, GW_LIT("Authorization: Bearer "));
		gw_buf_puts(out, key);
		gw_buf_puts(out, GW_LIT("\r\n"));
	}
	gw_buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", gw_buf_len(&body));
	gw_buf_puts(out, gw_buf_view(&body));
	gw_buf_done(&body);
	if (out->err)
		die("the request is too large", NULL);
}

static void find_address(struct bench_run *r)
{
	uv_getaddrinfo_t q;
	uv_loop_t *loop = uv_default_loop();
	char host[256];

	snprintf(host, sizeof(host), "%.*s", GW_FMT(r->url.host));
	if (uv_getaddrinfo(loop, &q, NULL, host, NULL, NULL) != 0)
		die("no address for", host);
	memcpy(&r->address, q.addrinfo->ai_addr, q.addrinfo->ai_addrlen);
	if (r->address.ss_family == AF_INET)
		((struct sockaddr_in *)&r->address)->sin_port = htons(r->url.port);
	else
		((struct sockaddr_in6 *)&r->address)->sin6_port = htons(r->url.port);
	uv_freeaddrinfo(q.addrinfo);
}

static void set_up_tls(struct bench_run *r)
{
	static char host[256];
	struct gw_buf pem;

	gw_buf_init(&pem, 1 << 20);
	if (bench_options.ca_path && gw_read_file(AT_FDCWD, bench_options.ca_path, &pem) != GW_OK)
		die("cannot read", bench_options.ca_path);
	if (gw_crypto_init() != GW_OK ||
	    gw_tls_client_ctx(bench_options.ca_path ? gw_buf_view(&pem) : GW_NIL, GW_NIL, &r->tls) != GW_OK)
		die("certificates not usable", bench_options.ca_path);
	gw_buf_done(&pem);
	if (!bench_options.host_name) {
		snprintf(host, sizeof(host), "%.*s", GW_FMT(r->url.host));
		bench_options.host_name = host;
	}
}

/* Thousands of connections: as many descriptors as this user may have. */
static void raise_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_max < bench_options.connections + bench_options.hold_streams + 32)
		die("more connections than this user may have files (ulimit -n)", NULL);
}

int main(int argc, char **argv)
{
	static struct bench_run run;
	struct gw_buf key;
	const char *from_env = getenv("LLMGW_KEY");
	int result;

	read_options(argc, argv);
	if (gw_url_parse(gw_str_z(bench_options.url), &run.url) != GW_OK)
		die("--url wants http(s)://host:port[/path]", bench_options.url);
	gw_buf_init(&key, 65536);
	if (bench_options.key_file && gw_read_file(AT_FDCWD, bench_options.key_file, &key) != GW_OK)
		die("cannot read", bench_options.key_file);
	if (!bench_options.key_file && from_env)
		gw_buf_puts(&key, gw_str_z(from_env));
	while (gw_buf_len(&key) > 0 && (unsigned char)key.p[key.n - 1] <= ' ')
		key.n--;
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN },
			NULL); /* a server may leave at any time */
	if (setenv("UV_USE_IO_URING", "0", 1) != 0)
		die("cannot start", NULL);
	raise_files();
	find_address(&run);
	if (run.url.is_https)
		set_up_tls(&run);
	make_request(&run, &run.request, gw_buf_view(&key), bench_options.message, bench_options.is_stream,
		     bench_options.body_bytes);
	make_request(&run, &run.hold_request, gw_buf_view(&key), bench_options.hold_message, true, 0);
	result = bench_run(&run);
	if (result == 0)
		result = bench_report(&run);
	gw_wipe(run.request.p, run.request.n);
	gw_wipe(run.hold_request.p, run.hold_request.n);
	if (key.p)
		gw_wipe(key.p, key.n);
	gw_buf_done(&run.request);
	gw_buf_done(&run.hold_request);
	gw_buf_done(&key);
	return result;
}
