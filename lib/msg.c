/* Packing and unpacking of the messages between roles (lib/msg.h), driven by the rows of schemas/messages.def. */
#include "lib/msg.h"

#include <stddef.h>

enum key_type { KT_NONE, KT_U64, KT_STR };

static const struct key_row {
	enum key_type type;
	size_t offset;
} keys[GW_MK_COUNT] = {
#define GW_MSG(name, doc)
#define GW_MKEY(name, type, doc) [GW_MK_##name] = { KT_##type, offsetof(struct gw_msg, name) },
#include "schemas/messages.def"
#undef GW_MSG
#undef GW_MKEY
};
_Static_assert(GW_MK_COUNT <= 64, "gw_msg.has holds a bit per key");

static const char *const names[GW_MSG_COUNT] = {
	"none",
#define GW_MSG(name, doc) #name,
#define GW_MKEY(name, type, doc)
#include "schemas/messages.def"
#undef GW_MSG
#undef GW_MKEY
};

const char *gw_msg_name(enum gw_msg_type t)
{
	return (unsigned)t < GW_MSG_COUNT ? names[t] : "unknown";
}

void gw_msg_pack(struct gw_buf *b, const struct gw_msg *m)
{
	uint64_t has = m->has & ~1ull;

	GW_REQUIRE(m->type > GW_MSG_none_ && m->type < GW_MSG_COUNT);
	GW_REQUIRE(GW_MK_COUNT == 64 || has >> GW_MK_COUNT == 0);
	gw_mp_map(b, 1 + (uint32_t)__builtin_popcountll(has));
	gw_mp_u64(b, GW_MK_type_);
	gw_mp_u64(b, (uint64_t)m->type);
	for (unsigned k = 1; k < GW_MK_COUNT; k++) {
		const char *field = (const char *)m + keys[k].offset;

		if (!(has >> k & 1))
			continue;
		gw_mp_u64(b, k);
		if (keys[k].type == KT_U64)
			gw_mp_u64(b, *(const uint64_t *)(const void *)field);
		else
			gw_mp_bin(b, *(const struct gw_str *)(const void *)field);
	}
}

/* One value into its field; the cursor keeps the error. */
static void read_field(struct gw_mp *r, struct gw_msg *m, unsigned k)
{
	char *field = (char *)m + keys[k].offset;

	if (keys[k].type == KT_U64)
		*(uint64_t *)(void *)field = gw_mp_read_u64(r);
	else
		*(struct gw_str *)(void *)field = gw_mp_read_str(r);
}

enum gw_err gw_msg_unpack(struct gw_str bytes, struct gw_msg *m)
{
	struct gw_mp r = gw_mp_reader(bytes);
	uint32_t pairs = gw_mp_read_map(&r);
	uint64_t type = 0;

	memset(m, 0, offsetof(struct gw_msg, fds));
	for (uint32_t i = 0; i < pairs && !r.err; i++) {
		uint64_t k = gw_mp_read_u64(&r);

		if (r.err)
			break;
		if (k >= GW_MK_COUNT) { /* a newer peer's key */
			gw_mp_skip(&r);
			continue;
		}
		if (m->has >> k & 1)
			return GW_E_GARBLED;
		m->has |= 1ull << k;
		if (k == GW_MK_type_)
			type = gw_mp_read_u64(&r);
		else
			read_field(&r, m, (unsigned)k);
	}
	if (r.err || r.at != r.end || type == 0)
		return GW_E_GARBLED;
	m->type = type < GW_MSG_COUNT ? (enum gw_msg_type)type : GW_MSG_COUNT;
	m->has &= ~1ull; /* type is a field of its own */
	return GW_OK;
}
