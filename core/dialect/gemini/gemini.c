/* The Gemini dialect as the rest of the gateway sees it: its struct, paths, errors, token counts and the list of models. */
#include "core/dialect/gemini/gemini.h"
#include "core/dialect/gemini/endpoints.h"
#include "core/error_body.h"
#include "lib/url.h"

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

/* ---- paths ---- */

/* "gemini-2.5-flash" stands under models/; names with a folder of their own ("tunedModels/x", "publishers/google/models/x") as they are. */
static void put_model_path(const struct gw_path_in *in, struct gw_buf *out)
{
	struct gw_str rest = in->model, head;

	gw_buf_puts(out, in->base);
	gw_buf_puts(out, gw_str_find(rest, '/') == rest.n ? GW_LIT("/models/") : GW_LIT("/"));
	while (gw_str_cut(rest, '/', &head, &rest)) {
		gw_url_encode(out, head);
		gw_buf_putc(out, '/');
	}
	gw_url_encode(out, head);
}

static void write_path(const struct gw_path_in *in, struct gw_buf *out)
{
	put_model_path(in, out);
	gw_buf_puts(out, in->is_stream ? GW_LIT(":streamGenerateContent?alt=sse") : GW_LIT(":generateContent"));
}

void gw_gemini_count_path(const struct gw_path_in *in, struct gw_buf *out)
{
	put_model_path(in, out);
	gw_buf_puts(out, GW_LIT(":countTokens"));
}

/* ---- errors ---- */

static const char *status_of(int http)
{
	switch (http) {
	case 401:
		return "UNAUTHENTICATED";
	case 403:
		return "PERMISSION_DENIED";
	case 404:
		return "NOT_FOUND";
	case 409:
		return "ABORTED";
	case 402:
	case 429:
		return "RESOURCE_EXHAUSTED";
	case 499:
		return "CANCELLED";
	case 501:
		return "UNIMPLEMENTED";
	case 502:
	case 503:
	case 529:
		return "UNAVAILABLE";
	case 408:
	case 504:
		return "DEADLINE_EXCEEDED";
	default:
		return http >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
	}
}

static void put_details(const struct gw_error_told *t, struct gw_json_out *w)
{
	gw_jw_key(w, GW_LIT("details"));
	gw_jw_arr(w);
	if (t->code.n) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "@type", GW_LIT("type.googleapis.com/google.rpc.ErrorInfo"));
		gw_jw_kstr(w, "reason", t->code);
		gw_jw_kstr(w, "domain", GW_LIT("llmgw"));
		gw_jw_end_obj(w);
	}
	if (t->param.n) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "@type", GW_LIT("type.googleapis.com/google.rpc.BadRequest"));
		gw_jw_key(w, GW_LIT("fieldViolations"));
		gw_jw_arr(w);
		gw_jw_obj(w);
		gw_jw_kstr(w, "field", t->param);
		gw_jw_kstr(w, "description", t->message);
		gw_jw_end_obj(w);
		gw_jw_end_arr(w);
		gw_jw_end_obj(w);
	}
	if (t->retry_after_ms) {
		gw_jw_obj(w);
		gw_jw_kstr(w, "@type", GW_LIT("type.googleapis.com/google.rpc.RetryInfo"));
		gw_jw_key(w, GW_LIT("retryDelay"));
		gw_jw_raw(w, GW_LIT("\""));
		gw_buf_printf(w->b, "%llu.%03us\"", (unsigned long long)(t->retry_after_ms / 1000),
			      (unsigned)(t->retry_after_ms % 1000));
		gw_jw_end_obj(w);
	}
	gw_jw_end_arr(w);
}

static void write_error(const struct gw_error_told *t, struct gw_buf *out)
{
	struct gw_json_out w;

	gw_jw_init(&w, out);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("error"));
	gw_jw_obj(&w);
	gw_jw_ki64(&w, "code", t->http);
	gw_jw_key(&w, GW_LIT("message"));
	gw_jw_raw(&w, GW_LIT(""));
	gw_error_put_message(out, t);
	gw_jw_kstr(&w, "status", gw_str_z(status_of(t->http)));
	if (t->code.n || t->param.n || t->retry_after_ms)
		put_details(t, &w);
	gw_jw_end_obj(&w);
	gw_jw_end_obj(&w);
}

/* In an array the error is its last element; the writer has put one before it. */
static void write_error_event(const struct gw_error_told *t, const struct gw_carry *c, struct gw_buf *out)
{
	bool is_array = c->framing == GW_FRAMING_ARRAY;

	gw_buf_puts(out, is_array ? GW_LIT(",\r\n") : GW_LIT("data: "));
	write_error(t, out);
	gw_buf_puts(out, is_array ? GW_LIT("]") : GW_LIT("\r\n\r\n"));
}

/* ---- token counts ---- */

enum gw_err gw_gemini_count_read(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				 struct gw_str *param, struct gw_str *why)
{
	const yyjson_val *inner = gemini_get(root, "generateContentRequest");
	enum gw_err e;

	e = gemini_read_request(a, inner ? inner : root, out, param, why);
	for (struct ir_extra **x = &out->extra; !e && *x; x = &(*x)->next) { /* the path has the model */
		if (gw_str_eq((*x)->key, GW_LIT("model"))) {
			*x = (*x)->next;
			break;
		}
	}
	if (!e && inner && gw_json_get(root, GW_LIT("contents"))) {
		*param = GW_LIT("contents");
		*why = GW_LIT("must be given once: in the body, or in generateContentRequest");
		return GW_E_INVALID;
	}
	return e;
}

enum gw_err gw_gemini_count_write(struct gw_arena *a, struct ir_request *in, const struct gw_write_opts *o,
				  bool is_vertex, struct gw_buf *body, struct gw_str *param, struct gw_str *why)
{
	struct gw_json_out w;
	size_t from;
	enum gw_err e;

	if (is_vertex)
		return gemini_write_request(a, in, o, body, param, why);
	gw_jw_init(&w, body);
	gw_jw_obj(&w);
	gw_jw_key(&w, GW_LIT("generateContentRequest"));
	gw_jw_raw(&w, GW_LIT(""));
	from = body->n;
	e = gemini_write_request(a, in, o, body, param, why);
	if (e)
		return e;
	if (body->n > from)
		body->n--; /* the model goes inside */
	gw_buf_puts(body, GW_LIT(",\"model\":"));
	gw_json_quote(body, gw_arena_printf(a, "%s%.*s", gw_str_find(o->model, '/') == o->model.n ? "models/" : "",
					    GW_FMT(o->model)));
	gw_buf_puts(body, GW_LIT("}}"));
	return body->err == GW_E_TOO_BIG ? GW_E_TOO_BIG : body->err || a->is_full ? GW_E_NOMEM : GW_OK;
}

bool gw_gemini_count_reply_read(const yyjson_val *root, uint64_t *tokens)
{
	const yyjson_val *n = gemini_get(root, "totalTokens");

	if (!yyjson_is_uint(mut(n)))
		return false;
	*tokens = yyjson_get_uint(mut(n));
	return true;
}

void gw_gemini_count_reply_write(uint64_t tokens, struct gw_buf *out)
{
	gw_buf_puts(out, GW_LIT("{\"totalTokens\":"));
	gw_buf_put_u64(out, tokens);
	gw_buf_putc(out, '}');
}

/* ---- models ---- */

void gw_gemini_models_begin(struct gw_gemini_models *m, struct gw_buf *out)
{
	gw_jw_init(&m->w, out);
	gw_jw_obj(&m->w);
	gw_jw_key(&m->w, GW_LIT("models"));
	gw_jw_arr(&m->w);
}

void gw_gemini_models_add(struct gw_gemini_models *m, struct gw_str name, struct gw_str description)
{
	gw_jw_obj(&m->w);
	gw_jw_key(&m->w, GW_LIT("name"));
	gw_jw_raw(&m->w, GW_LIT("\"models/")); /* the name follows in the same string */
	{
		size_t from = m->w.b->n;

		gw_json_quote(m->w.b, name);
		if (!m->w.b->err) {
			memmove(m->w.b->p + from, m->w.b->p + from + 1, m->w.b->n - from - 1);
			m->w.b->n--;
		}
	}
	gw_jw_kstr(&m->w, "baseModelId", name);
	gw_jw_kstr(&m->w, "displayName", name);
	if (description.n)
		gw_jw_kstr(&m->w, "description", description);
	gw_jw_key(&m->w, GW_LIT("supportedGenerationMethods"));
	gw_jw_raw(&m->w, GW_LIT("[\"generateContent\",\"streamGenerateContent\",\"countTokens\"]"));
	gw_jw_end_obj(&m->w);
}

void gw_gemini_models_end(struct gw_gemini_models *m)
{
	gw_jw_end_arr(&m->w);
	gw_jw_end_obj(&m->w);
}

/* Models from 3 on want the first call of a turn signed, and calls of other vendors are not. */
static bool may_be_mixed(struct gw_str body, struct gw_str model)
{
	bool is_pro;

	return gemini_model(model, &is_pro) == GEMINI_3 &&
	       (memmem(body.p, body.n, "\"functionCall\"", 14) || memmem(body.p, body.n, "\"function_call\"", 15));
}

const struct gw_dialect gw_gemini = {
	.id = GW_D_GEMINI,
	.name = "gemini",
	.framing = GW_FRAMING_SSE,
	.is_serial = false, /* calls are gathered, so they may overlap */
	.read_request = gemini_read_request,
	.write_request = gemini_write_request,
	.may_be_mixed = may_be_mixed,
	.write_path = write_path,
	.read_reply = gemini_read_reply,
	.write_reply = gemini_write_reply,
	.read_event = gemini_read_event,
	.read_end = gemini_read_end,
	.write_event = gemini_write_event,
	.writer_done = gemini_writer_done,
	.reader_bytes = GEMINI_READER_BYTES,
	.writer_bytes = GEMINI_WRITER_BYTES,
	.write_error = write_error,
	.write_error_event = write_error_event,
};
