/* A Converse body into the IR. What models take beyond Converse stands in additionalModelRequestFields: what the IR knows of it (thinking,
 * top_k) is read, the rest is kept as it came. */
#include "core/dialect/bedrock/bedrock.h"

enum { MAX_UNKNOWN = 256, MAX_TOOLS = 4096, MAX_NAMES = 4096 };

static yyjson_val *mut(const yyjson_val *v)
{
	return (yyjson_val *)(uintptr_t)v;
}

static const yyjson_val *get(const yyjson_val *obj, const char *key)
{
	return gw_json_get(obj, gw_str_z(key));
}

static enum gw_err keep(struct bedrock_reader *r, const char *prefix, struct gw_str key, const yyjson_val *v)
{
	struct ir_extra **at = &r->rq->extra;
	unsigned n = 0;

	for (; *at; at = &(*at)->next) {
		if (++n >= MAX_UNKNOWN)
			return bedrock_refuse(r, key, "there are too many members that are not known");
	}
	*at = GW_NEW(r->a, struct ir_extra);
	if (!*at)
		return GW_E_NOMEM;
	**at = (struct ir_extra){ .of = GW_D_BEDROCK,
				  .key = *prefix ? gw_arena_printf(r->a, "%s%.*s", prefix, GW_FMT(key)) : key,
				  .val = v };
	return (*at)->key.p ? GW_OK : GW_E_NOMEM;
}

/* ---- inferenceConfig ---- */

static enum gw_err read_stops(struct bedrock_reader *r, const yyjson_val *v)
{
	struct ir_name **tail = &r->rq->sampling.stop;
	yyjson_arr_iter it;
	yyjson_val *x;

	if (!yyjson_is_arr(mut(v)) || yyjson_arr_size(mut(v)) > MAX_NAMES)
		return bedrock_refuse(r, GW_LIT("inferenceConfig.stopSequences"), "must be an array of strings");
	yyjson_arr_iter_init(mut(v), &it);
	while ((x = yyjson_arr_iter_next(&it))) {
		if (!yyjson_is_str(x))
			return bedrock_refuse(r, GW_LIT("inferenceConfig.stopSequences"),
					      "must be an array of strings");
		if (!ir_name_add(r->a, tail, gw_json_str(x)))
			return GW_E_NOMEM;
		tail = &(*tail)->next;
	}
	return GW_OK;
}

static enum gw_err read_inference(struct bedrock_reader *r, const yyjson_val *cfg)
{
	struct ir_sampling *s = &r->rq->sampling;
	yyjson_obj_iter it;
	yyjson_val *k;
	enum gw_err e = GW_OK;

	if (!yyjson_is_obj(mut(cfg)))
		return bedrock_refuse(r, GW_LIT("inferenceConfig"), "must be an object");
	r->rq->form |= BR_HAS_INFERENCE;
	yyjson_obj_iter_init(mut(cfg), &it);
	while (!e && (k = yyjson_obj_iter_next(&it))) {
		yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);
		bool is_temperature = gw_str_eq(key, GW_LIT("temperature"));

		if (gw_str_eq(key, GW_LIT("maxTokens"))) {
			if (!yyjson_is_int(v))
				return bedrock_refuse(r, GW_LIT("inferenceConfig.maxTokens"), "must be an integer");
			s->max_tokens = (struct ir_i64){ true, yyjson_get_sint(v) };
		} else if (is_temperature || gw_str_eq(key, GW_LIT("topP"))) {
			if (!yyjson_is_num(v))
				return bedrock_refuse(r,
						      is_temperature ? GW_LIT("inferenceConfig.temperature")
								     : GW_LIT("inferenceConfig.topP"),
						      "must be a number");
			*(is_temperature ? &s->temperature : &s->top_p) = (struct ir_f64){ true, yyjson_get_num(v) };
		} else if (gw_str_eq(key, GW_LIT("stopSequences"))) {
			e = read_stops(r, v);
		} else {
			e = keep(r, "inferenceConfig.", key, v);
		}
	}
	return e;
}

/* ---- additionalModelRequestFields ---- */

/* {"type":"enabled","budget_tokens":n} | {"type":"adaptive"|"disabled"}; false: it says more than that. */
static bool read_thinking(struct ir_reasoning *re, const yyjson_val *v)
{
	struct gw_str type = gw_json_str(get(v, "type"));
	const yyjson_val *budget = get(v, "budget_tokens");
	size_t n = yyjson_obj_size(mut(v));

	if (gw_str_eq(type, GW_LIT("enabled")) && n == 2 && yyjson_is_int(mut(budget))) {
		re->is_on = IR_YES;
		re->budget = (struct ir_i64){ true, yyjson_get_sint(mut(budget)) };
		return true;
	}
	if (n != 1)
		return false;
	re->is_adaptive = gw_str_eq(type, GW_LIT("adaptive"));
	re->is_on = re->is_adaptive ? IR_YES : gw_str_eq(type, GW_LIT("disabled")) ? IR_NO : re->is_on;
	return re->is_adaptive || gw_str_eq(type, GW_LIT("disabled"));
}

static bool read_one_effort(struct ir_reasoning *re, const yyjson_val *v, const char *key, size_t members)
{
	enum ir_effort e = ir_effort_of(gw_json_str(get(v, key)));

	if (yyjson_obj_size(mut(v)) != members || e == IR_EFFORT_UNSET || e == IR_EFFORT_NONE)
		return false;
	re->effort = e;
	return true;
}

static unsigned read_model_field(struct ir_request *rq, struct gw_str key, yyjson_val *v)
{
	struct ir_reasoning *re = &rq->reasoning;

	if (gw_str_eq(key, GW_LIT("thinking")))
		return read_thinking(re, v) ? BR_THINKING : 0;
	if (gw_str_eq(key, GW_LIT("reasoning_config")))
		return read_thinking(re, v) ? BR_REASONING_CONFIG : 0;
	if (gw_str_eq(key, GW_LIT("reasoningConfig")) && gw_str_eq(gw_json_str(get(v, "type")), GW_LIT("enabled")))
		return read_one_effort(re, v, "maxReasoningEffort", 2) ? BR_NOVA_REASONING : 0;
	if (gw_str_eq(key, GW_LIT("output_config")))
		return read_one_effort(re, v, "effort", 1) ? BR_OUTPUT_EFFORT : 0;
	if (gw_str_eq(key, GW_LIT("top_k")) && yyjson_is_int(v)) {
		rq->sampling.top_k = (struct ir_i64){ true, yyjson_get_sint(v) };
		return BR_TOP_K;
	}
	if (gw_str_eq(key, GW_LIT("inferenceConfig")) && yyjson_obj_size(v) == 1 &&
	    yyjson_is_int(mut(get(v, "topK")))) {
		rq->sampling.top_k = (struct ir_i64){ true, yyjson_get_sint(mut(get(v, "topK"))) };
		return BR_NOVA_TOP_K;
	}
	return 0;
}

static enum gw_err read_model_fields(struct bedrock_reader *r, const yyjson_val *fields)
{
	yyjson_obj_iter it;
	yyjson_val *k;
	enum gw_err e = GW_OK;

	if (!yyjson_is_obj(mut(fields)))
		return keep(r, "", GW_LIT("additionalModelRequestFields"), fields);
	r->rq->form |= BR_HAS_MODEL_FIELDS;
	yyjson_obj_iter_init(mut(fields), &it);
	while (!e && (k = yyjson_obj_iter_next(&it))) {
		unsigned bit = read_model_field(r->rq, gw_json_str(k), yyjson_obj_iter_get_val(k));

		r->rq->form |= bit;
		if (!bit)
			e = keep(r, "additionalModelRequestFields.", gw_json_str(k), yyjson_obj_iter_get_val(k));
	}
	return e;
}

/* ---- toolConfig ---- */

static enum gw_err read_spec(struct bedrock_reader *r, const yyjson_val *spec, struct ir_tool *t)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	yyjson_obj_iter_init(mut(spec), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		yyjson_val *v = yyjson_obj_iter_get_val(k);
		struct gw_str key = gw_json_str(k);

		if (gw_str_eq(key, GW_LIT("name"))) {
			t->name = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("description"))) {
			t->description = gw_json_str(v);
		} else if (gw_str_eq(key, GW_LIT("inputSchema"))) {
			t->parameters = get(v, "json");
			if (!yyjson_is_obj(mut(t->parameters)))
				return bedrock_refuse(r, GW_LIT("toolConfig.tools[].toolSpec.inputSchema.json"),
						      "must be a JSON schema object");
		} else if (gw_str_eq(key, GW_LIT("strict")) && yyjson_is_bool(v)) {
			t->strict = yyjson_get_bool(v) ? IR_YES : IR_NO;
		} else if (!ir_extra_add(r->a, &t->extra, GW_D_BEDROCK, k, v)) {
			return GW_E_NOMEM;
		}
	}
	if (!t->name.n)
		return bedrock_refuse(r, GW_LIT("toolConfig.tools[].toolSpec.name"),
				      "must be a string that is not empty");
	return GW_OK;
}

static enum gw_err read_tools(struct bedrock_reader *r, const yyjson_val *list)
{
	struct ir_tool *last = NULL;
	yyjson_arr_iter it;
	yyjson_val *x;
	enum gw_err e = GW_OK;

	if (!yyjson_is_arr(mut(list)) || yyjson_arr_size(mut(list)) > MAX_TOOLS)
		return bedrock_refuse(r, GW_LIT("toolConfig.tools"), "must be an array of at most 4096 tools");
	yyjson_arr_iter_init(mut(list), &it);
	while (!e && (x = yyjson_arr_iter_next(&it))) {
		const yyjson_val *spec = get(x, "toolSpec"), *point = get(x, "cachePoint");
		struct gw_str ttl = gw_json_str(get(point, "ttl"));

		if (point && last && last->cache == IR_CACHE_NONE && yyjson_obj_size(mut(point)) == (ttl.n ? 2u : 1u)) {
			last->cache = !ttl.n ? IR_CACHE_DEFAULT : *ttl.p == '1' ? IR_CACHE_1H : IR_CACHE_5M;
			continue;
		}
		struct ir_tool *t = GW_NEW(r->a, struct ir_tool);

		if (!t)
			return GW_E_NOMEM;
		*(last ? &last->next : &r->rq->tools) = t;
		last = t;
		t->hosted_of = GW_D_NONE;
		if (yyjson_is_obj(mut(spec))) {
			e = read_spec(r, spec, t);
			continue;
		}
		t->kind = IR_TOOL_HOSTED;
		t->hosted_of = GW_D_BEDROCK;
		t->hosted = x;
		t->name = gw_json_str(get(get(x, "systemTool"), "name"));
	}
	return e;
}

static enum gw_err read_tool_config(struct bedrock_reader *r, const yyjson_val *cfg)
{
	const yyjson_val *choice = get(cfg, "toolChoice"), *tools = get(cfg, "tools"), *named = get(choice, "tool");
	struct ir_tool_choice *c = &r->rq->tool_choice;

	if (!yyjson_is_obj(mut(cfg)))
		return bedrock_refuse(r, GW_LIT("toolConfig"), "must be an object");
	r->rq->form |= BR_HAS_TOOLS;
	if (yyjson_is_str(mut(get(named, "name")))) {
		c->kind = IR_CHOICE_NAMED;
		c->is_required = true;
		if (!ir_name_add(r->a, &c->names, gw_json_str(get(named, "name"))))
			return GW_E_NOMEM;
	} else if (get(choice, "any")) {
		c->kind = IR_CHOICE_REQUIRED;
	} else if (get(choice, "auto")) {
		c->kind = IR_CHOICE_AUTO;
	} else if (choice) {
		c->raw = choice;
	}
	return tools ? read_tools(r, tools) : GW_OK;
}

/* ---- outputConfig ---- */

static enum gw_err read_output(struct bedrock_reader *r, const yyjson_val *cfg)
{
	const yyjson_val *js = get(get(get(cfg, "textFormat"), "structure"), "jsonSchema"), *schema = get(js, "schema");
	enum ir_effort effort = ir_effort_of(gw_json_str(get(cfg, "effort")));
	struct ir_format *f = &r->rq->format;

	if (effort != IR_EFFORT_UNSET) {
		r->rq->reasoning.effort = effort;
		r->rq->form |= BR_CONFIG_EFFORT;
	}
	if (!yyjson_is_str(mut(schema)))
		return js || !effort ? keep(r, "", GW_LIT("outputConfig"), cfg) : GW_OK;
	/* the text comes from the client: read by the same rules as its body */
	if (gw_json_tree(r->a, gw_json_str(schema), &gw_json_default_limits, &f->schema, NULL) ||
	    !yyjson_is_obj(mut(f->schema)))
		return bedrock_refuse(r, GW_LIT("outputConfig.textFormat.structure.jsonSchema.schema"),
				      "must be a string that holds a JSON schema object");
	f->kind = IR_FORMAT_SCHEMA;
	f->schema_own = schema;
	f->name = gw_json_str(get(js, "name"));
	f->description = gw_json_str(get(js, "description"));
	return GW_OK;
}

/* ---- messages ---- */

static enum gw_err read_messages(struct bedrock_reader *r, const yyjson_val *list)
{
	yyjson_arr_iter it;
	yyjson_val *m;

	if (!yyjson_is_arr(mut(list)))
		return bedrock_refuse(r, GW_LIT("messages"), "must be an array of messages");
	r->list = "messages";
	yyjson_arr_iter_init(mut(list), &it);
	for (r->message = 0; (m = yyjson_arr_iter_next(&it)); r->message++) {
		struct gw_str role = gw_json_str(get(m, "role"));
		struct ir_message *out;
		enum gw_err e;

		if (!gw_str_eq(role, GW_LIT("user")) && !gw_str_eq(role, GW_LIT("assistant")) &&
		    !gw_str_eq(role, GW_LIT("system")))
			return bedrock_refuse(r, gw_arena_printf(r->a, "messages[%u].role", r->message),
					      "must be \"user\" or \"assistant\"");
		out = ir_message_add(r->a, r->rq, *role.p == 'u' ? IR_USER : *role.p == 'a' ? IR_ASSISTANT : IR_SYSTEM);
		if (!out)
			return GW_E_NOMEM;
		out->form = *role.p == 's';
		e = bedrock_blocks_read(r, get(m, "content"), &out->blocks);
		if (e)
			return e;
	}
	return GW_OK;
}

static enum gw_err read_system(struct bedrock_reader *r, const yyjson_val *list)
{
	struct ir_message *m;

	r->rq->form |= BR_HAS_SYSTEM;
	if (yyjson_is_arr(mut(list)) && !yyjson_arr_size(mut(list)))
		return GW_OK;
	m = ir_message_add(r->a, r->rq, IR_SYSTEM);
	r->list = "system";
	return m ? bedrock_blocks_read(r, list, &m->blocks) : GW_E_NOMEM;
}

static bool is_strings(const yyjson_val *v)
{
	yyjson_obj_iter it;
	yyjson_val *k;

	if (!yyjson_is_obj(mut(v)))
		return false;
	yyjson_obj_iter_init(mut(v), &it);
	while ((k = yyjson_obj_iter_next(&it))) {
		if (!yyjson_is_str(yyjson_obj_iter_get_val(k)))
			return false;
	}
	return true;
}

static enum gw_err read_member(struct bedrock_reader *r, struct gw_str key, const yyjson_val *v)
{
	if (yyjson_is_null(mut(v)))
		return GW_OK;
	if (gw_str_eq(key, GW_LIT("messages")) || gw_str_eq(key, GW_LIT("system")))
		return GW_OK; /* after all else, in this order */
	if (gw_str_eq(key, GW_LIT("inferenceConfig")))
		return read_inference(r, v);
	if (gw_str_eq(key, GW_LIT("toolConfig")))
		return read_tool_config(r, v);
	if (gw_str_eq(key, GW_LIT("outputConfig")))
		return read_output(r, v);
	if (gw_str_eq(key, GW_LIT("additionalModelRequestFields")))
		return read_model_fields(r, v);
	if (gw_str_eq(key, GW_LIT("serviceTier")) && yyjson_obj_size(mut(v)) == 1 &&
	    yyjson_is_str(mut(get(v, "type")))) {
		r->rq->service_tier = gw_json_str(get(v, "type"));
		return GW_OK;
	}
	if (gw_str_eq(key, GW_LIT("requestMetadata"))) {
		if (!is_strings(v))
			return bedrock_refuse(r, key, "must be an object whose values are strings");
		r->rq->metadata = v;
		return GW_OK;
	}
	return keep(r, "", key, v);
}

enum gw_err bedrock_read_request(struct gw_arena *a, const yyjson_val *root, struct ir_request *out,
				 struct gw_str *param, struct gw_str *why)
{
	struct bedrock_reader r = { .a = a, .rq = out, .param = param, .why = why };
	const yyjson_val *system = get(root, "system"), *messages = get(root, "messages");
	yyjson_obj_iter it;
	yyjson_val *k;
	enum gw_err e = GW_OK;

	if (!yyjson_is_obj(mut(root)))
		return bedrock_refuse(&r, GW_LIT("messages"), "the body must be a JSON object");
	yyjson_obj_iter_init(mut(root), &it);
	while (!e && (k = yyjson_obj_iter_next(&it)))
		e = read_member(&r, gw_json_str(k), yyjson_obj_iter_get_val(k));
	if (!e && !messages) {
		*param = GW_LIT("messages");
		*why = GW_LIT("is required");
		return GW_E_MISSING;
	}
	if (!e && system && !yyjson_is_null(mut(system)))
		e = read_system(&r, system);
	return e ? e : read_messages(&r, messages);
}
