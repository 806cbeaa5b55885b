/* Forms and replies of token endpoints (core/token.h). */
#include "core/token.h"

#include "lib/json.h"
#include "lib/json_write.h"
#include "lib/text.h"
#include "lib/url.h"

enum { JWT_LIFE_S = 3600, EARLY_MS = 300000, CHANCE_MS = 30000, MAX_LIFE_MS = 86400000 };

void gw_form_put(struct gw_buf *b, const char *name, struct gw_str value)
{
	if (gw_buf_len(b))
		gw_buf_putc(b, '&');
	gw_buf_puts(b, gw_str_z(name));
	gw_buf_putc(b, '=');
	gw_url_encode(b, value);
}

void gw_token_sts_form(struct gw_buf *b, const struct gw_token_ask *a, struct gw_str web_identity)
{
	gw_form_put(b, "Action", web_identity.n ? GW_LIT("AssumeRoleWithWebIdentity") : GW_LIT("AssumeRole"));
	gw_form_put(b, "Version", GW_LIT("2011-06-15"));
	gw_form_put(b, "RoleArn", a->role_arn);
	gw_form_put(b, "RoleSessionName", GW_LIT("llmgw"));
	gw_form_put(b, "DurationSeconds", GW_LIT("3600"));
	if (web_identity.n)
		gw_form_put(b, "WebIdentityToken", web_identity);
	else if (a->external_id.n)
		gw_form_put(b, "ExternalId", a->external_id);
}

void gw_token_jwt(struct gw_buf *b, const struct gw_gcp_key *k, struct gw_str scope, struct gw_str audience,
		  int64_t now_us)
{
	struct gw_json_out w;
	struct gw_buf part;

	gw_buf_init(&part, 8192);
	gw_jw_init(&w, &part);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "alg", GW_LIT("RS256"));
	gw_jw_kstr(&w, "typ", GW_LIT("JWT"));
	if (k->private_key_id.n)
		gw_jw_kstr(&w, "kid", k->private_key_id);
	gw_jw_end_obj(&w);
	gw_b64url_put(b, part.p, part.n);
	gw_buf_putc(b, '.');
	gw_buf_clear(&part, 8192);
	gw_jw_init(&w, &part);
	gw_jw_obj(&w);
	gw_jw_kstr(&w, "iss", k->client_email);
	gw_jw_kstr(&w, "scope", scope);
	gw_jw_kstr(&w, "aud", audience);
	gw_jw_ku64(&w, "iat", (uint64_t)(now_us / 1000000));
	gw_jw_ku64(&w, "exp", (uint64_t)(now_us / 1000000 + JWT_LIFE_S));
	gw_jw_end_obj(&w);
	gw_b64url_put(b, part.p, part.n);
	gw_buf_done(&part);
}

/* ---- replies ---- */

static struct gw_str text_at(struct gw_arena *a, struct gw_str body, const struct gw_json_span *s)
{
	if (s->type == GW_JSON_STR)
		return gw_json_unescape(a, gw_str(body.p + s->off, s->len));
	return s->type == GW_JSON_NUM ? gw_str(body.p + s->off, s->len) : GW_LIT("");
}

static uint64_t life_until(int64_t end_us, int64_t now_us)
{
	uint64_t ms = end_us > now_us ? (uint64_t)(end_us - now_us) / 1000 : 0;

	return ms < MAX_LIFE_MS ? ms : MAX_LIFE_MS;
}

enum gw_err gw_token_read_oauth(struct gw_arena *a, struct gw_str body, int64_t now_us, struct gw_token_got *got)
{
	struct gw_json_span v[5] = { 0 };
	const struct gw_json_want want[] = { { GW_LIT("access_token"), &v[0] },
					     { GW_LIT("expires_in"), &v[1] },
					     { GW_LIT("expires_on"), &v[2] },
					     { GW_LIT("accessToken"), &v[3] },
					     { GW_LIT("expireTime"), &v[4] } };
	struct gw_json_fault fault;
	uint64_t seconds;
	int64_t end_us;

	if (gw_json_check(a, body, &gw_json_default_limits, want, 5, &fault) != GW_OK)
		return GW_E_UP_GARBLED;
	bool is_google = !v[0].type && v[3].type == GW_JSON_STR;
	const struct gw_json_span *token = is_google ? &v[3] : &v[0];
	/* Azure's metadata writes numbers as text */
	struct gw_str in = text_at(a, body, &v[1]), on = text_at(a, body, &v[2]), at = text_at(a, body, &v[4]);

	if (token->type != GW_JSON_STR || token->len == 0)
		return GW_E_UP_GARBLED;
	if (is_google && gw_time_read(at, &end_us))
		got->life_ms = life_until(end_us, now_us);
	else if (!is_google && gw_str_u64(in, &seconds))
		got->life_ms = (seconds < MAX_LIFE_MS / 1000 ? seconds : MAX_LIFE_MS / 1000) * 1000;
	else if (!is_google && !in.n && gw_str_u64(on, &seconds) && seconds < (uint64_t)INT64_MAX / 1000000)
		got->life_ms = life_until((int64_t)seconds * 1000000, now_us);
	else
		return GW_E_UP_GARBLED;
	struct gw_str value = text_at(a, body, token);

	if (!gw_cred_is_sendable(value))
		return GW_E_UP_GARBLED; /* a line break in a header would be another header */
	gw_buf_puts(&got->value, value);
	return got->value.err;
}

static enum gw_err put_keys(struct gw_token_got *got, struct gw_str id, struct gw_str secret, struct gw_str session,
			    struct gw_str until, int64_t now_us)
{
	struct gw_aws_keys keys;
	int64_t end_us;

	if (!id.n || !secret.n || !session.n || !gw_time_read(until, &end_us))
		return GW_E_UP_GARBLED;
	gw_buf_puts(&got->value, id);
	gw_buf_putc(&got->value, ':');
	gw_buf_puts(&got->value, secret);
	gw_buf_putc(&got->value, ':');
	gw_buf_puts(&got->value, session);
	got->life_ms = life_until(end_us, now_us);
	return got->value.err                                      ? got->value.err
	       : gw_aws_keys_read(gw_buf_view(&got->value), &keys) ? GW_OK
								   : GW_E_UP_GARBLED;
}

enum gw_err gw_token_read_keys(struct gw_arena *a, struct gw_str body, int64_t now_us, struct gw_token_got *got)
{
	struct gw_json_span v[4] = { 0 };
	const struct gw_json_want want[] = { { GW_LIT("AccessKeyId"), &v[0] },
					     { GW_LIT("SecretAccessKey"), &v[1] },
					     { GW_LIT("Token"), &v[2] },
					     { GW_LIT("Expiration"), &v[3] } };
	struct gw_json_fault fault;

	if (gw_json_check(a, body, &gw_json_default_limits, want, 4, &fault) != GW_OK)
		return GW_E_UP_GARBLED;
	return put_keys(got, text_at(a, body, &v[0]), text_at(a, body, &v[1]), text_at(a, body, &v[2]),
			text_at(a, body, &v[3]), now_us);
}

/* Text of the first element of this name; its values have no markup. */
static struct gw_str element(struct gw_str xml, struct gw_str open)
{
	const char *from = xml.n ? memmem(xml.p, xml.n, open.p, open.n) : NULL;
	struct gw_str rest;

	if (!from)
		return GW_LIT("");
	rest = gw_str(from + open.n, (size_t)(xml.p + xml.n - from) - open.n);
	return gw_str_trim(gw_str(rest.p, gw_str_find(rest, '<')));
}

enum gw_err gw_token_read_sts(struct gw_str body, int64_t now_us, struct gw_token_got *got)
{
	return put_keys(got, element(body, GW_LIT("<AccessKeyId>")), element(body, GW_LIT("<SecretAccessKey>")),
			element(body, GW_LIT("<SessionToken>")), element(body, GW_LIT("<Expiration>")), now_us);
}

/* {"error": {"message": ...}}, as Google's other services have it. */
static struct gw_str inner_message(struct gw_arena *a, struct gw_str obj)
{
	struct gw_json_span message = { 0 };
	const struct gw_json_want want = { GW_LIT("message"), &message };
	struct gw_json_fault fault;

	return gw_json_check(a, obj, &gw_json_default_limits, &want, 1, &fault) == GW_OK ? text_at(a, obj, &message)
											 : GW_LIT("");
}

struct gw_str gw_token_why(struct gw_arena *a, struct gw_str body)
{
	struct gw_json_span v[4] = { 0 };
	const struct gw_json_want want[] = { { GW_LIT("error_description"), &v[0] },
					     { GW_LIT("message"), &v[1] },
					     { GW_LIT("Message"), &v[2] },
					     { GW_LIT("error"), &v[3] } };
	struct gw_json_fault fault;

	if (body.n && body.p[0] == '<')
		return element(body, GW_LIT("<Message>"));
	if (gw_json_check(a, body, &gw_json_default_limits, want, 4, &fault) != GW_OK)
		return GW_LIT("");
	for (size_t i = 0; i < 3; i++) {
		if (v[i].type == GW_JSON_STR)
			return text_at(a, body, &v[i]);
	}
	return v[3].type == GW_JSON_OBJ ? inner_message(a, gw_str(body.p + v[3].off, v[3].len))
					: text_at(a, body, &v[3]);
}

struct gw_str gw_token_skew_words(struct gw_arena *a, int64_t skew_s)
{
	enum { TOLERATED_S = 120 };

	if (skew_s >= -TOLERATED_S && skew_s <= TOLERATED_S)
		return GW_LIT("");
	return gw_arena_printf(a, " This machine's clock is %lld s %s.", (long long)(skew_s > 0 ? skew_s : -skew_s),
			       skew_s > 0 ? "behind theirs" : "ahead of theirs");
}

uint64_t gw_token_refresh_ms(uint64_t life_ms, uint32_t random)
{
	uint64_t early = life_ms / 5 < EARLY_MS ? life_ms / 5 : EARLY_MS;
	uint64_t chance = life_ms / 20 < CHANCE_MS ? life_ms / 20 : CHANCE_MS;

	return life_ms - early - (chance * random >> 32);
}
