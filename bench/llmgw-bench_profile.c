/* Profiles: a YAML file that says what is asked for and when. Every complaint names file, line, field and remedy. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench/llmgw-bench_plan.h"
#include "lib/yaml.h"

struct reader {
	const char *name;
	struct gw_yaml_pos *pos;
	struct bench_plan *plan;
	struct bench_profile_more *more;
	struct bench_names models; /* of classes that name none */
	double rate_from, rate_to, conns_from, conns_to;
	uint64_t duration_ms;
	char *why;
	size_t n_why;
};

__attribute__((format(printf, 3, 4))) static bool complain(struct reader *r, const char *pointer, const char *fmt, ...)
{
	uint32_t line = 0, column = 0;
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (gw_yaml_where(r->pos, gw_str_z(pointer), &line, &column))
		snprintf(r->why, r->n_why, "%s:%u:%u: %s", r->name, line, column, what);
	else
		snprintf(r->why, r->n_why, "%s: %s", r->name, what);
	return false;
}

/* A value as words: strings as they are, numbers in decimal. Empty when it is neither. */
static struct gw_str words(yyjson_val *v, char *buf, size_t n)
{
	if (yyjson_is_str(v))
		return gw_json_str(v);
	if (yyjson_is_uint(v))
		return gw_str(buf, (size_t)snprintf(buf, n, "%llu", (unsigned long long)yyjson_get_uint(v)));
	if (yyjson_is_real(v))
		return gw_str(buf, (size_t)snprintf(buf, n, "%.6f", yyjson_get_real(v)));
	return GW_NIL;
}

static bool read_ms(struct reader *r, yyjson_val *v, const char *at, uint64_t *ms)
{
	char buf[32];

	if (!v)
		return true;
	if (!bench_duration(words(v, buf, sizeof(buf)), ms))
		return complain(r, at, "%s wants a duration such as 30s, 500ms or 2m", at + 1);
	return true;
}

static bool read_range(struct reader *r, yyjson_val *v, const char *at, double max, double *from, double *to)
{
	char buf[32];

	if (!v)
		return true;
	if (!bench_range(words(v, buf, sizeof(buf)), max, from, to))
		return complain(r, at, "%s wants a number or a ramp such as 100..1000, at most %.0f", at + 1, max);
	return true;
}

static bool read_u64(struct reader *r, yyjson_val *v, const char *at, uint64_t max, uint64_t *out)
{
	if (!v)
		return true;
	if (!yyjson_is_uint(v) || yyjson_get_uint(v) > max)
		return complain(r, at, "%s wants a whole number up to %llu", at + 1, (unsigned long long)max);
	*out = yyjson_get_uint(v);
	return true;
}

static bool read_names(struct reader *r, yyjson_val *v, const char *at, struct bench_names *to)
{
	yyjson_val *item;
	size_t i, n;

	if (!v)
		return true;
	if (yyjson_is_str(v)) {
		if (!bench_names_expand(to, gw_json_str(v)))
			return complain(r, at, "%s: a range is written m-{1..100}, with at most %d names", at + 1,
					BENCH_MAX_NAMES);
		return true;
	}
	if (!yyjson_is_arr(v))
		return complain(r, at, "%s wants a name or a list of names", at + 1);
	yyjson_arr_foreach(v, i, n, item)
	{
		if (!yyjson_is_str(item) || !bench_names_expand(to, gw_json_str(item)))
			return complain(r, at, "%s wants names; a range is written m-{1..100}", at + 1);
	}
	return true;
}

static bool refuse_unknown(struct reader *r, yyjson_val *obj, const char *at, const char *const *known,
			   const char *what)
{
	yyjson_val *key, *v;
	size_t i, n;
	char pointer[200];

	if (!yyjson_is_obj(obj))
		return complain(r, at, "%s wants key: value pairs", *at ? at + 1 : "a profile");
	yyjson_obj_foreach(obj, i, n, key, v)
	{
		const char *const *k = known;

		while (*k && !yyjson_equals_str(key, *k))
			k++;
		if (*k)
			continue;
		struct gw_str name = gw_json_str(key);

		snprintf(pointer, sizeof(pointer), "%s/%.*s", at, (int)(name.n < 100 ? name.n : 100), name.p);
		return complain(r, pointer, "\"%.*s\" is not known here; %s", (int)(name.n < 100 ? name.n : 100),
				name.p, what);
	}
	return true;
}

static bool read_sizes(struct reader *r, yyjson_val *v, const char *at, struct bench_class *c)
{
	yyjson_val *item;
	size_t i, n;
	uint64_t one = 1024;

	if (!v || yyjson_is_uint(v)) {
		if (!read_u64(r, v, at, 32 << 20, &one))
			return false;
		c->sizes[0] = one;
		c->n_sizes = 1;
		return true;
	}
	if (!yyjson_is_arr(v) || yyjson_arr_size(v) == 0 || yyjson_arr_size(v) > BENCH_MAX_SIZES)
		return complain(r, at, "%s wants a number of bytes or a list of up to %d", at + 1, BENCH_MAX_SIZES);
	yyjson_arr_foreach(v, i, n, item)
	{
		if (!read_u64(r, item, at, 32 << 20, &c->sizes[i]))
			return false;
	}
	c->n_sizes = (uint32_t)n;
	return true;
}

static char *join(const char *a, struct gw_str b)
{
	size_t n = strlen(a);
	char *p = malloc(n + b.n + 1);

	GW_REQUIRE(p != NULL);
	memcpy(p, a, n);
	memcpy(p + n, b.p ? b.p : "", b.n);
	p[n + b.n] = '\0';
	return p;
}

static bool read_kind(struct reader *r, yyjson_val *v, const char *at, struct bench_class *c)
{
	static const char *const kinds[] = { "chat", "stream", "embeddings" };

	for (int i = 0; i < 3; i++) {
		if (v && yyjson_equals_str(v, kinds[i])) {
			c->kind = (enum bench_kind)i;
			return true;
		}
	}
	return complain(r, at, "%s wants one of chat, stream, embeddings", at + 1);
}

static bool read_class(struct reader *r, yyjson_val *v, uint32_t i)
{
	static const char *const known[] = { "name",    "kind",       "weight", "models", "model", "prompt_bytes",
					     "message", "max_tokens", "inputs", "mock",   NULL };
	struct bench_class *c = &r->plan->classes[i];
	char at[40], p[80];
	struct gw_str name;
	yyjson_val *message = yyjson_obj_get(v, "message"), *mock = yyjson_obj_get(v, "mock");

	*c = (struct bench_class){ .weight = 1, .inputs = 1 };
	r->plan->n_classes = i + 1;
	snprintf(at, sizeof(at), "/mix/%u", i);
	if (!refuse_unknown(
		r, v, at, known,
		"a row of the mix has name, kind, weight, models, prompt_bytes, message, max_tokens, inputs, mock"))
		return false;
#define FIELD(f) (snprintf(p, sizeof(p), "%s/%s", at, f), p)
	if (!read_kind(r, yyjson_obj_get(v, "kind"), FIELD("kind"), c) ||
	    !read_u64(r, yyjson_obj_get(v, "weight"), FIELD("weight"), 1000000, &c->weight) ||
	    !read_u64(r, yyjson_obj_get(v, "max_tokens"), FIELD("max_tokens"), 10000000, &c->max_tokens) ||
	    !read_u64(r, yyjson_obj_get(v, "inputs"), FIELD("inputs"), 2048, &c->inputs) ||
	    !read_sizes(r, yyjson_obj_get(v, "prompt_bytes"), FIELD("prompt_bytes"), c) ||
	    !read_names(r, yyjson_obj_get(v, "model"), FIELD("model"), &c->models) ||
	    !read_names(r, yyjson_obj_get(v, "models"), FIELD("models"), &c->models))
		return false;
	if ((message && !yyjson_is_str(message)) || (mock && !yyjson_is_str(mock)))
		return complain(r, FIELD(mock ? "mock" : "message"), "%s wants text", p + 1);
	if (message && mock)
		return complain(r, FIELD("mock"), "message and mock are two ways to say the same: keep one");
#undef FIELD
	if (c->models.n == 0)
		for (uint32_t k = 0; k < r->models.n; k++)
			if (!bench_names_add(&c->models, gw_str_z(r->models.items[k])))
				return complain(r, at, "too many models");
	c->message =
	    mock ? join("mock: ", gw_json_str(mock)) : join("", message ? gw_json_str(message) : GW_LIT("Say hello."));
	name =
	    yyjson_obj_get(v, "name") ? gw_json_str(yyjson_obj_get(v, "name")) : gw_json_str(yyjson_obj_get(v, "kind"));
	snprintf(c->name, sizeof(c->name), "%.*s", (int)(name.n < 39 ? name.n : 39), name.p);
	return true;
}

static bool read_stage(struct reader *r, yyjson_val *v, uint32_t i)
{
	static const char *const known[] = { "duration", "rate", "connections", NULL };
	struct bench_stage *s = &r->plan->stages[i];
	double from = r->conns_from, to = r->conns_to;
	char at[40], p[80];

	*s = (struct bench_stage){ .rate_from = r->rate_from, .rate_to = r->rate_to };
	r->plan->n_stages = i + 1;
	snprintf(at, sizeof(at), "/stages/%u", i);
	if (!refuse_unknown(r, v, at, known, "a stage has duration, rate, connections"))
		return false;
	snprintf(p, sizeof(p), "%s/duration", at);
	if (!yyjson_obj_get(v, "duration"))
		return complain(r, at, "stages/%u needs a duration, such as duration: 30s", i);
	if (!read_ms(r, yyjson_obj_get(v, "duration"), p, &s->ms))
		return false;
	if (s->ms == 0)
		return complain(r, p, "a stage lasts longer than nothing");
	snprintf(p, sizeof(p), "%s/rate", at);
	if (!read_range(r, yyjson_obj_get(v, "rate"), p, BENCH_MAX_RATE, &s->rate_from, &s->rate_to))
		return false;
	snprintf(p, sizeof(p), "%s/connections", at);
	if (!read_range(r, yyjson_obj_get(v, "connections"), p, BENCH_MAX_CONNECTIONS, &from, &to))
		return false;
	s->conns_from = (uint32_t)from;
	s->conns_to = (uint32_t)to;
	if (s->conns_from == 0 && s->conns_to == 0)
		return complain(r, p, "a stage needs at least 1 connection");
	return true;
}

static bool read_think(struct reader *r, yyjson_val *v)
{
	yyjson_val *mean = yyjson_obj_get(v, "mean");

	r->plan->is_think_random = mean != NULL;
	return read_ms(r, mean ? mean : v, "/think", &r->plan->think_ms);
}

static bool read_text(struct reader *r, yyjson_val *v, const char *at, char *to, size_t n)
{
	if (!v)
		return true;
	if (!yyjson_is_str(v) || yyjson_get_len(v) >= n)
		return complain(r, at, "%s wants text of at most %zu bytes", at + 1, n - 1);
	memcpy(to, yyjson_get_str(v), yyjson_get_len(v) + 1);
	return true;
}

static bool read_scalars(struct reader *r, yyjson_val *root)
{
	static const char *const known[] = { "url",      "arrivals", "rate",     "connections", "think",     "warmup",
					     "duration", "stages",   "models",   "model",       "keys_file", "mix",
					     "timeout",  "seed",     "requests", NULL };
	struct bench_plan *p = r->plan;
	yyjson_val *arrivals = yyjson_obj_get(root, "arrivals");

	if (!refuse_unknown(
		r, root, "", known,
		"a profile has url, arrivals, rate, connections, think, warmup, duration, requests, stages, models, "
		"keys_file, timeout, seed, mix"))
		return false;
	if (arrivals && !yyjson_equals_str(arrivals, "constant") && !yyjson_equals_str(arrivals, "poisson"))
		return complain(r, "/arrivals", "arrivals wants constant or poisson");
	p->is_poisson = arrivals ? yyjson_equals_str(arrivals, "poisson") : p->is_poisson;
	return read_range(r, yyjson_obj_get(root, "rate"), "/rate", BENCH_MAX_RATE, &r->rate_from, &r->rate_to) &&
	       read_range(r, yyjson_obj_get(root, "connections"), "/connections", BENCH_MAX_CONNECTIONS, &r->conns_from,
			  &r->conns_to) &&
	       read_think(r, yyjson_obj_get(root, "think")) &&
	       read_ms(r, yyjson_obj_get(root, "warmup"), "/warmup", &p->warmup_ms) &&
	       read_ms(r, yyjson_obj_get(root, "duration"), "/duration", &r->duration_ms) &&
	       read_ms(r, yyjson_obj_get(root, "timeout"), "/timeout", &p->timeout_ms) &&
	       read_u64(r, yyjson_obj_get(root, "seed"), "/seed", UINT32_MAX, &p->seed) &&
	       read_u64(r, yyjson_obj_get(root, "requests"), "/requests", 1u << 31, &p->requests) &&
	       read_text(r, yyjson_obj_get(root, "url"), "/url", r->more->url, sizeof(r->more->url)) &&
	       read_text(r, yyjson_obj_get(root, "keys_file"), "/keys_file", r->more->keys_file,
			 sizeof(r->more->keys_file)) &&
	       read_names(r, yyjson_obj_get(root, "model"), "/model", &r->models) &&
	       read_names(r, yyjson_obj_get(root, "models"), "/models", &r->models);
}

static bool read_stages(struct reader *r, yyjson_val *stages)
{
	yyjson_val *v;
	size_t i, n;
	bool some_open = false;

	if (!stages) {
		r->plan->stages[0] = (struct bench_stage){ r->duration_ms, r->rate_from, r->rate_to,
							   (uint32_t)r->conns_from, (uint32_t)r->conns_to };
		r->plan->n_stages = 1;
		if (r->duration_ms == 0)
			return complain(r, "/duration", "duration must be longer than nothing");
	} else {
		if (!yyjson_is_arr(stages) || yyjson_arr_size(stages) == 0 ||
		    yyjson_arr_size(stages) > BENCH_MAX_STAGES)
			return complain(r, "/stages", "stages wants a list of 1 to %d stages", BENCH_MAX_STAGES);
		yyjson_arr_foreach(stages, i, n, v)
		{
			if (!read_stage(r, v, (uint32_t)i))
				return false;
		}
	}
	for (uint32_t k = 0; k < r->plan->n_stages; k++)
		some_open = some_open || r->plan->stages[k].rate_from > 0 || r->plan->stages[k].rate_to > 0;
	r->plan->is_open = some_open;
	if (r->plan->is_open && r->plan->think_ms > 0)
		return complain(r, "/think",
				"think is for the closed loop (no rate): with a rate requests come due by the clock");
	return true;
}

static bool read_root(struct reader *r, yyjson_val *root)
{
	yyjson_val *mix = yyjson_obj_get(root, "mix"), *v;
	size_t i, n;

	if (!read_scalars(r, root) || !read_stages(r, yyjson_obj_get(root, "stages")))
		return false;
	if (!mix)
		return true;
	if (!yyjson_is_arr(mix) || yyjson_arr_size(mix) == 0 || yyjson_arr_size(mix) > BENCH_MAX_CLASSES)
		return complain(r, "/mix", "mix wants a list of 1 to %d kinds of requests", BENCH_MAX_CLASSES);
	yyjson_arr_foreach(mix, i, n, v)
	{
		if (!read_class(r, v, (uint32_t)i))
			return false;
	}
	return true;
}

bool bench_profile_read(struct gw_str yaml, const char *name, struct bench_plan *p, struct bench_profile_more *more,
			char *why, size_t n_why)
{
	struct reader r = { .name = name,
			    .plan = p,
			    .more = more,
			    .why = why,
			    .n_why = n_why,
			    .conns_from = 64,
			    .conns_to = 64,
			    .duration_ms = 10000 };
	struct gw_json_fault fault = { 0 };
	yyjson_doc *doc = NULL;
	bool ok;

	if (p->n_stages > 0) {
		r.duration_ms = p->stages[0].ms;
		r.conns_from = r.conns_to = p->stages[0].conns_from;
	}
	if (gw_yaml_read_pos(yaml, false, &doc, &r.pos, &fault) != GW_OK) {
		snprintf(why, n_why, "%s:%u:%u: not a YAML document: %s", name, fault.line, fault.column,
			 fault.what ? fault.what : "unreadable");
		return false;
	}
	ok = read_root(&r, yyjson_doc_get_root(doc));
	if (ok && p->n_classes == 0 && r.models.n > 0) { /* a profile without a mix: chats with its models */
		p->n_classes = 1;
		p->classes[0] = (struct bench_class){ .name = "chat",
						      .weight = 1,
						      .inputs = 1,
						      .sizes = { 1024 },
						      .n_sizes = 1,
						      .message = join("", GW_LIT("Say hello.")),
						      .models = r.models };
		r.models = (struct bench_names){ 0 };
	}
	for (uint32_t i = 0; i < r.models.n; i++)
		free(r.models.items[i]);
	free(r.models.items);
	gw_yaml_pos_free(r.pos);
	yyjson_doc_free(doc);
	return ok;
}
