/* Rates of the admin API: calls of one caller, and failed authentications of one address. Buckets in a small table; where two share
 * one, the busier of them makes the other wait, never the other way round. The figures are rows of the settings object, which is read
 * from confd now and then and after every change of it. */
#include "admin/admin.h"
#include "lib/sys/clock.h"

enum { RATE_DEFAULT = 2000, FAILURES_DEFAULT = 30, READ_MS = 2000, BURST_S = 2 };

static uint64_t hash_of(struct gw_str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3u;
	return h;
}

/* Full buckets hold `most` tokens and get `per_s` a second. 0 = there is one, else how long to wait in ms. */
static uint64_t take(struct gw_adm_bucket *b, double per_s, double most, bool is_taken)
{
	uint64_t now = gw_now_ms();

	if (!b->at_ms)
		*b = (struct gw_adm_bucket){ most, now };
	b->left += (double)(now - b->at_ms) * per_s / 1000;
	b->left = b->left > most ? most : b->left;
	b->at_ms = now;
	if (b->left >= 1) {
		b->left -= is_taken ? 1 : 0;
		return 0;
	}
	return (uint64_t)((1 - b->left) * 1000 / per_s) + 1;
}

static void defaults(struct gw_admin *ad)
{
	if (ad->rate)
		return;
	ad->rate = RATE_DEFAULT;
	ad->failures = FAILURES_DEFAULT;
}

uint64_t gw_adm_limit_call(struct gw_admin *ad, struct gw_str caller)
{
	defaults(ad);
	return take(&ad->callers[hash_of(caller) % GW_ADM_BUCKETS], (double)ad->rate, (double)ad->rate * BURST_S, true);
}

uint64_t gw_adm_limit_failed(struct gw_admin *ad, struct gw_str source, bool has_failed)
{
	defaults(ad);
	return take(&ad->sources[hash_of(source) % GW_ADM_BUCKETS], (double)ad->failures / 60, (double)ad->failures,
		    has_failed);
}

void gw_adm_limit_seen(struct gw_admin *ad, struct gw_str source)
{
	struct gw_adm_source *s = ad->unauthenticated;
	int i = 0;

	ad->n_unauthenticated++;
	while (i < GW_ADM_SOURCES - 1 && s[i].n && !gw_str_eq(gw_str_z(s[i].text), source))
		i++;
	if (!s[i].n)
		snprintf(s[i].text, sizeof s[i].text, "%.*s", i < GW_ADM_SOURCES - 1 ? (int)source.n : 6,
			 i < GW_ADM_SOURCES - 1 ? source.p : "others");
	s[i].n++;
}

static uint64_t number(yyjson_val *obj, const char *name)
{
	return gw_cf_u64(obj, GW_KIND_settings, name);
}

static void on_settings(void *ctx, enum gw_err err, struct gw_msg *m)
{
	struct gw_admin *ad = ctx;
	struct gw_json_fault fault;
	yyjson_doc *doc;

	ad->is_reading_settings = false;
	if (err || m->status != 200 || gw_json_read(m->body, &gw_json_default_limits, &doc, &fault))
		return;
	ad->rate = number(yyjson_doc_get_root(doc), "admin_rate");
	ad->failures = number(yyjson_doc_get_root(doc), "admin_failures");
	yyjson_doc_free(doc);
}

void gw_adm_limits_read(struct gw_admin *ad)
{
	struct gw_msg m = { .type = GW_MSG_CALL };

	defaults(ad);
	if (!ad->confd || ad->is_reading_settings)
		return;
	GW_MSG_SET(&m, name, GW_LIT("get"));
	GW_MSG_SET(&m, kind, GW_LIT("settings"));
	GW_MSG_SET(&m, body, GW_LIT("{\"id\":\"default\"}"));
	GW_MSG_SET(&m, actor,
		   GW_LIT("{\"key\":\"system\",\"roles\":[{\"role\":\"platform-admin\",\"org\":\"\",\"team\":\"\"}]}"));
	ad->is_reading_settings = gw_channel_ask(ad->confd, &m, READ_MS, on_settings, ad) == GW_OK;
}
