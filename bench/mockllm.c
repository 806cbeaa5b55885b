/* mockllm: options, certificates, listening, one loop per thread. */
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench/mockllm.h"
#include "lib/crypto.h"
#include "lib/sys/fd.h"

struct mock_options mock_options = {
	.host = "127.0.0.1",
	.port = 0,
	.threads = 1,
	.keep = 64,
	.tune = { .chunks = 16, .bytes = 1024, .prompt_tokens = 11, .completion_tokens = -1, .cut = 3 },
};

static const struct option rows[] = {
	{ "listen", 1, NULL, 'l' },   { "port-file", 1, NULL, 'p' },    { "threads", 1, NULL, 't' },
	{ "delay-ms", 1, NULL, 'd' }, { "chunk-ms", 1, NULL, 'm' },     { "chunks", 1, NULL, 'n' },
	{ "bytes", 1, NULL, 'b' },    { "require-key", 1, NULL, 'k' },  { "script", 1, NULL, 's' },
	{ "tls-cert", 1, NULL, 'C' }, { "tls-key", 1, NULL, 'K' },      { "keep", 1, NULL, 'e' },
	{ "scripts", 1, NULL, 'S' },  { "script-certs", 1, NULL, 'c' }, { "dns", 1, NULL, 'D' },
	{ "play", 1, NULL, 'P' },     { "help", 0, NULL, 'h' },         { NULL, 0, NULL, 0 },
};

static void help(void)
{
	puts("mockllm: a scripted OpenAI-compatible server for tests, benchmarks and demonstrations\n"
	     "\n"
	     "  --listen HOST:PORT   address, port 0 = choose (127.0.0.1:0)\n"
	     "  --port-file PATH     write the port there once it listens\n"
	     "  --tls-cert, --tls-key PEM   serve https\n"
	     "  --threads N          event loops (1)\n"
	     "  --delay-ms N         before an answer begins (0)\n"
	     "  --chunks N, --chunk-ms N    content chunks of a stream (16) and the pause between them (0)\n"
	     "  --bytes N            size of a whole answer (1024)\n"
	     "  --require-key KEY    401 for any other key\n"
	     "  --keep N             requests kept for /mock/stats (64)\n"
	     "  --script FILE        JSON {\"tune\":{...},\"rules\":[{\"model\",\"fault\",\"count\",\"after\"}]}\n"
	     "  --scripts DIR        play the cases of DIR/cases.json by their ids (corpus of upstream faults); GET "
	     "/mock/scripts\n"
	     "                       says how each is reached: as a fault, at an address of its own, by a name\n"
	     "  --script-certs DIR   expired, wrong-host, selfsigned, good: .pem and .key for the scripts about TLS\n"
	     "  --play DIR           answers by files: DIR/<model>/<dialect>.json, .stream, .cut or .error (openai, "
	     "responses,\n"
	     "                       anthropic, gemini, bedrock, cohere)\n"
	     "  --dns HOST:PORT      a name server (UDP): good.mock, slow.mock (5 s), flip.mock, silent.mock; no other "
	     "name exists\n"
	     "\n"
	     "A last user message \"echo: X\" is answered X; \"use the tool\" (with tools) calls the first tool; a "
	     "tool message is\n"
	     "answered with its content. \"mock: chunks=3 chunk_ms=20 delay_ms=5 bytes=100 prompt=1 completion=2 "
	     "cached=0 cut=2\n"
	     "fault=NAME\" tunes one request. A model named ...mock-paced streams with 20 ms between chunks.\n"
	     "Control: POST /mock/next {model,fault,count,after}, /mock/tune, /mock/reset; GET /mock/stats[?last=N]\n"
	     "\n"
	     "Faults, by header x-mock-fault, rule, message or model ...mock-NAME:");
	mock_fault_list();
}

static _Noreturn void die(const char *what, const char *arg)
{
	fprintf(stderr, "mockllm: %s%s%s\n", what, arg ? ": " : "", arg ? arg : "");
	exit(2);
}

static uint64_t number(const char *arg)
{
	uint64_t v = 0;

	if (!gw_str_u64(gw_str_z(arg), &v))
		die("not a number", arg);
	return v;
}

static void set_dns(const char *arg)
{
	static char host[64];
	const char *colon = strrchr(arg, ':');
	uint64_t port = 0;
	size_t n = colon ? (size_t)(colon - arg) : 0;

	if (n == 0 || n >= sizeof(host) || !gw_str_u64(gw_str_z(colon + 1), &port) || port == 0 || port > 65535)
		die("--dns wants HOST:PORT", arg);
	memcpy(host, arg, n);
	mock_options.dns_host = host;
	mock_options.dns_port = (uint16_t)port;
}

static void set_listen(const char *arg)
{
	const char *colon = strrchr(arg, ':');
	uint64_t port = 0;
	size_t n = colon ? (size_t)(colon - arg) : 0;

	if (n == 0 || n >= sizeof(mock_options.host) || !gw_str_u64(gw_str_z(colon + 1), &port) || port > 65535)
		die("--listen wants HOST:PORT", arg);
	memcpy(mock_options.host, arg, n);
	mock_options.host[n] = '\0';
	mock_options.port = (uint16_t)port;
}

static void read_options(int argc, char **argv)
{
	struct mock_options *o = &mock_options;

	for (int ch; (ch = getopt_long(argc, argv, "", rows, NULL)) != -1;) {
		switch (ch) {
		case 'l':
			set_listen(optarg);
			break;
		case 'p':
			o->port_file = optarg;
			break;
		case 't':
			o->threads = (uint32_t)number(optarg);
			break;
		case 'd':
			o->tune.delay_ms = number(optarg);
			break;
		case 'm':
			o->tune.chunk_ms = number(optarg);
			break;
		case 'n':
			o->tune.chunks = number(optarg);
			break;
		case 'b':
			o->tune.bytes = number(optarg);
			break;
		case 'k':
			o->require_key = optarg;
			break;
		case 's':
			o->script_path = optarg;
			break;
		case 'C':
			o->cert_path = optarg;
			break;
		case 'K':
			o->key_path = optarg;
			break;
		case 'e':
			o->keep = (uint32_t)number(optarg);
			break;
		case 'S':
			o->scripts_path = optarg;
			break;
		case 'c':
			o->script_certs = optarg;
			break;
		case 'P':
			mock_options.play_path = optarg;
			break;
		case 'D':
			set_dns(optarg);
			break;
		case 'h':
			help();
			exit(0);
		default:
			die("unknown option, see --help", NULL);
		}
	}
	if (o->threads < 1 || o->threads > 64)
		die("--threads wants 1 to 64", NULL);
	if (!o->cert_path != !o->key_path)
		die("--tls-cert and --tls-key belong together", NULL);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct mock_thread *t = listener->data;
	struct mock_conn *c;

	if (status != 0)
		return;
	c = mock_conn_new(t);
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) == 0)
		mock_conn_start(c);
}

static struct gw_tls_ctx *tls_context(const char *cert_path, const char *key_path)
{
	struct gw_buf cert, key;
	struct gw_tls_ctx *ctx = NULL;

	if (!cert_path)
		return NULL;
	gw_buf_init(&cert, 1 << 20);
	gw_buf_init(&key, 1 << 20);
	if (gw_read_file(AT_FDCWD, cert_path, &cert) != GW_OK)
		die("cannot read the certificate", cert_path);
	if (gw_read_file(AT_FDCWD, key_path, &key) != GW_OK)
		die("cannot read the key", key_path);
	if (gw_tls_server_ctx(gw_buf_view(&cert), gw_buf_view(&key), &ctx) != GW_OK)
		die("certificate or key not usable", cert_path);
	gw_buf_done(&cert);
	gw_buf_done(&key);
	return ctx;
}

/* Listens; 0 chooses a port, which is returned. */
static uint16_t start_thread(struct mock_thread *t, uint16_t port, const char *cert, const char *key)
{
	int fd = -1;

	if (gw_listen_tcp(gw_str_z(mock_options.host), port, &fd) != GW_OK)
		die("cannot listen on", mock_options.host);
	port = gw_socket_port(fd);
	GW_REQUIRE(uv_loop_init(&t->loop) == 0);
	t->scratch = malloc(MOCK_SCRATCH);
	t->json_pool = malloc(MOCK_JSON_POOL);
	GW_REQUIRE(t->scratch && t->json_pool);
	t->tls = tls_context(cert, key);
	t->listener.data = t;
	if (uv_tcp_init(&t->loop, &t->listener) != 0 || uv_tcp_open(&t->listener, fd) != 0)
		die("cannot use the socket", NULL);
	t->listener.data = t;
	if (uv_listen((uv_stream_t *)&t->listener, 4096, on_connection) != 0)
		die("cannot listen", NULL);
	return port;
}

static void serve(void *arg)
{
	uv_run(&((struct mock_thread *)arg)->loop, UV_RUN_DEFAULT);
}

uint16_t mock_place_open(struct mock_thread *t, enum mock_place place, const char *cert, const char *key)
{
	uint16_t port;

	t->place = place;
	port = start_thread(t, 0, cert, key);
	return uv_thread_create(&t->id, serve, t) == 0 ? port : 0;
}

static void tell_port(void)
{
	struct gw_buf b;

	printf("listening on %s://%s:%u\n", mock_options.cert_path ? "https" : "http", mock_options.host,
	       mock_options.port);
	fflush(stdout);
	if (!mock_options.port_file)
		return;
	gw_buf_init(&b, 64);
	gw_buf_printf(&b, "%u\n", mock_options.port);
	if (gw_write_file(AT_FDCWD, mock_options.port_file, gw_buf_view(&b), 0644) != GW_OK)
		die("cannot write", mock_options.port_file);
	gw_buf_done(&b);
}

int main(int argc, char **argv)
{
	static struct mock_thread threads[64];

	read_options(argc, argv);
	(void)sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN },
			NULL); /* clients may leave at any time */
	if (setenv("UV_USE_IO_URING", "0", 1) != 0 || gw_crypto_init() != GW_OK)
		die("cannot start", NULL);
	mock_control_init();
	if (mock_options.script_path && !mock_control_script(mock_options.script_path))
		die("the script is not usable", mock_options.script_path);
	if (mock_options.scripts_path && !mock_script_corpus(mock_options.scripts_path))
		die("the scripts cannot be played", mock_options.scripts_path);
	for (uint32_t i = 0; i < mock_options.threads; i++) /* the first may choose the port, the others join it */
		mock_options.port =
		    start_thread(&threads[i], mock_options.port, mock_options.cert_path, mock_options.key_path);
	if (mock_options.scripts_path && !mock_script_open(mock_options.script_certs))
		die("the scripts cannot be played", mock_options.scripts_path);
	if (mock_options.dns_host && !mock_dns_open(&threads[0].loop, mock_options.dns_host, mock_options.dns_port))
		die("cannot serve names at", mock_options.dns_host);
	tell_port();
	for (uint32_t i = 1; i < mock_options.threads; i++)
		GW_REQUIRE(uv_thread_create(&threads[i].id, serve, &threads[i]) == 0);
	serve(&threads[0]);
	return 0;
}
