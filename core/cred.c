/* Secrets of credentials by kind (core/cred.h). */
#include "core/cred.h"

#include "lib/json.h"
#include "lib/url.h"

bool gw_cred_is_sendable(struct gw_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	}
	return s.n > 0;
}

bool gw_aws_keys_read(struct gw_str text, struct gw_aws_keys *out)
{
	struct gw_str rest;

	*out = (struct gw_aws_keys){ .session_token = GW_LIT("") };
	if (!gw_str_cut(text, ':', &out->access_key, &rest))
		return false;
	if (gw_str_cut(rest, ':', &out->secret_key, &out->session_token)) {
		if (gw_str_find(out->session_token, ':') < out->session_token.n)
			return false;
	} else {
		out->session_token = GW_LIT("");
	}
	return gw_cred_is_sendable(text) && out->access_key.n && out->secret_key.n;
}

/* ---- JSON that people paste ---- */

struct member {
	const char *name;
	struct gw_str *to;
};

/* Text members of an object; false when it is no JSON object. Members that are not there stay "". */
static bool read_members(struct gw_arena *a, struct gw_str json, const struct member *m, size_t n)
{
	struct gw_json_span spans[12];
	struct gw_json_want want[12];
	struct gw_json_fault fault;

	for (size_t i = 0; i < n; i++) {
		want[i] = (struct gw_json_want){ gw_str_z(m[i].name), &spans[i] };
		*m[i].to = GW_LIT("");
	}
	if (gw_json_check(a, json, &gw_json_default_limits, want, n, &fault) != GW_OK)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (spans[i].type == GW_JSON_STR)
			*m[i].to = gw_json_unescape(a, gw_str(json.p + spans[i].off, spans[i].len));
		if (!m[i].to->p)
			return false;
	}
	return true;
}

enum gw_err gw_gcp_key_read(struct gw_arena *a, struct gw_str json, struct gw_gcp_key *k, const char **why)
{
	struct gw_str type;
	const struct member m[] = { { "type", &type },
				    { "client_email", &k->client_email },
				    { "private_key", &k->private_key },
				    { "private_key_id", &k->private_key_id },
				    { "token_uri", &k->token_uri },
				    { "client_id", &k->client_id },
				    { "client_secret", &k->client_secret },
				    { "refresh_token", &k->refresh_token } };

	*k = (struct gw_gcp_key){ 0 };
	*why = NULL;
	if (!read_members(a, json, m, sizeof(m) / sizeof(m[0])))
		*why = "secret must be the JSON key file of a Google service account (or authorized user), whole.";
	else if (gw_str_eq(type, GW_LIT("authorized_user")))
		k->is_user = true;
	else if (!gw_str_eq(type, GW_LIT("service_account")))
		*why = "secret is a key file of another type: \"type\" must be service_account or authorized_user.";
	if (!*why && k->is_user) {
		*why =
		    !k->client_id.n       ? "secret lacks client_id, which a key file of type authorized_user has."
		    : !k->client_secret.n ? "secret lacks client_secret, which a key file of type authorized_user has."
		    : !k->refresh_token.n ? "secret lacks refresh_token, which a key file of type authorized_user has."
					  : NULL;
	} else if (!*why) {
		*why = !k->client_email.n ? "secret lacks client_email, which the key file of a service account has."
		       : !gw_str_has_prefix(gw_str_trim(k->private_key), GW_LIT("-----BEGIN PRIVATE KEY-----"))
			   ? "secret lacks private_key, which the key file of a service account has, in PEM."
		       : k->token_uri.n && !gw_str_has_prefix(k->token_uri, GW_LIT("https://"))
			   ? "secret has a token_uri that is not https. A platform admin may set token_url instead."
			   : NULL;
	}
	return *why ? GW_E_INVALID : GW_OK;
}

/* {"file", "format": {"type", "subject_token_field_name"}} */
static void read_source(struct gw_arena *a, struct gw_str json, struct gw_gcp_external *x)
{
	struct gw_json_span file = { 0 }, format = { 0 };
	const struct gw_json_want want[] = { { GW_LIT("file"), &file }, { GW_LIT("format"), &format } };
	struct gw_str type = GW_LIT(""), field = GW_LIT("");
	const struct member m[] = { { "type", &type }, { "subject_token_field_name", &field } };
	struct gw_json_fault fault;

	if (gw_json_check(a, json, &gw_json_default_limits, want, 2, &fault) != GW_OK)
		return;
	if (file.type == GW_JSON_STR)
		x->file = gw_json_unescape(a, gw_str(json.p + file.off, file.len));
	if (format.type == GW_JSON_OBJ && read_members(a, gw_str(json.p + format.off, format.len), m, 2) &&
	    gw_str_eq(type, GW_LIT("json")))
		x->field = field;
}

enum gw_err gw_gcp_external_read(struct gw_arena *a, struct gw_str json, struct gw_gcp_external *x, const char **why)
{
	struct gw_json_span source = { 0 };
	const struct gw_json_want want = { GW_LIT("credential_source"), &source };
	struct gw_json_fault fault;
	struct gw_str type;
	const struct member m[] = { { "type", &type },
				    { "audience", &x->audience },
				    { "subject_token_type", &x->subject_token_type },
				    { "token_url", &x->token_url },
				    { "service_account_impersonation_url", &x->impersonation_url } };

	*x = (struct gw_gcp_external){ .file = GW_LIT(""), .field = GW_LIT("") };
	if (!read_members(a, json, m, sizeof(m) / sizeof(m[0])) ||
	    gw_json_check(a, json, &gw_json_default_limits, &want, 1, &fault) != GW_OK ||
	    !gw_str_eq(type, GW_LIT("external_account"))) {
		*why = "The file that GOOGLE_APPLICATION_CREDENTIALS names is not one of type external_account.";
		return GW_E_INVALID;
	}
	if (source.type == GW_JSON_OBJ)
		read_source(a, gw_str(json.p + source.off, source.len), x);
	*why = !x->audience.n             ? "The external_account file lacks audience."
	       : !x->subject_token_type.n ? "The external_account file lacks subject_token_type."
	       : !gw_str_has_prefix(x->token_url, GW_LIT("https://"))
		   ? "The external_account file has no token_url that begins with https://."
	       : x->impersonation_url.n && !gw_str_has_prefix(x->impersonation_url, GW_LIT("https://"))
		   ? "The external_account file has a service_account_impersonation_url that is not https."
	       : !x->file.n
		   ? "The external_account file has a credential_source other than file, the one that is taken."
		   : NULL;
	return *why ? GW_E_INVALID : GW_OK;
}

struct gw_str gw_gcp_subject(struct gw_arena *a, struct gw_str json, struct gw_str field)
{
	struct gw_json_span v = { 0 };
	const struct gw_json_want want = { field, &v };
	struct gw_json_fault fault;

	if (gw_json_check(a, json, &gw_json_default_limits, &want, 1, &fault) != GW_OK || v.type != GW_JSON_STR)
		return GW_NIL;
	return gw_json_unescape(a, gw_str(json.p + v.off, v.len));
}

/* As the AWS command line and STS print them, or as other tools name them. */
static bool aws_from_json(struct gw_arena *a, struct gw_str json, struct gw_aws_keys *k)
{
	struct gw_str id, secret, token;
	const struct member m[] = { { "AccessKeyId", &k->access_key },     { "SecretAccessKey", &k->secret_key },
				    { "SessionToken", &k->session_token }, { "access_key_id", &id },
				    { "secret_access_key", &secret },      { "session_token", &token } };

	if (!read_members(a, json, m, sizeof(m) / sizeof(m[0])))
		return false;
	k->access_key = k->access_key.n ? k->access_key : id;
	k->secret_key = k->secret_key.n ? k->secret_key : secret;
	k->session_token = k->session_token.n ? k->session_token : token;
	return true;
}

static struct gw_str join(struct gw_arena *a, const struct gw_aws_keys *k)
{
	const struct gw_str parts[] = { k->access_key, GW_LIT(":"), k->secret_key,
					k->session_token.n ? GW_LIT(":") : GW_LIT(""), k->session_token };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		n += parts[i].n;
	char *p = gw_alloc_bytes(a, n), *at = p;

	for (size_t i = 0; p && i < sizeof(parts) / sizeof(parts[0]); at += parts[i++].n) {
		if (parts[i].n)
			memcpy(at, parts[i].p, parts[i].n);
	}
	return gw_str(p, n);
}

static enum gw_err take_aws(struct gw_arena *a, struct gw_str given, struct gw_str *seal, struct gw_str *who,
			    const char **why)
{
	struct gw_aws_keys k;

	*seal = given;
	if (given.p[0] == '{') {
		if (!aws_from_json(a, given, &k)) {
			*why = "secret is not valid JSON. Give access_key_id and secret_access_key, or id:secret.";
			return GW_E_INVALID;
		}
		*seal = join(a, &k);
		if (!seal->p)
			return GW_E_NOMEM;
	}
	if (!gw_aws_keys_read(*seal, &k)) {
		*why = "secret must be AWS access keys: access_key_id:secret_access_key, with :session_token behind it "
		       "where there "
		       "is one, or the JSON with these names.";
		return GW_E_INVALID;
	}
	*who = k.access_key;
	return GW_OK;
}

enum gw_err gw_cred_secret_take(struct gw_arena *a, enum gw_cred_kind kind, struct gw_str given, struct gw_str *seal,
				struct gw_str *who, const char **why)
{
	struct gw_gcp_key key;
	enum gw_err e;

	*who = GW_LIT("");
	*why = NULL;
	*seal = given;
	if (given.n == 0)
		return GW_E_INVALID;
	if (kind == GW_CRED_KIND_AWS)
		return take_aws(a, given, seal, who, why);
	if (kind == GW_CRED_KIND_GCP) {
		e = gw_gcp_key_read(a, given, &key, why);
		*who = key.is_user ? key.client_id : key.client_email;
		return e;
	}
	if (!gw_cred_is_sendable(given)) {
		*why = "secret has a character that an HTTP header cannot carry (a space, a line break?). Paste the "
		       "key alone.";
		return GW_E_INVALID;
	}
	return GW_OK;
}
