#pragma once
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/msgpack.h"
#include "lib/secret.h"
#include "lib/str.h"

/* Messages between the roles: a msgpack map with small integer keys, rows in schemas/messages.def. One struct holds any
 * message; `has` tells which keys are present. Unknown keys are skipped, a wrong type is GW_E_GARBLED.
 *
 * On the wire (SEQPACKET) a message travels as one or more packets, each with this header, little endian:
 *   u32 magic 'GWM1' | u32 total_bytes | u32 offset | u32 msg_no
 * Descriptors travel with the first packet. net/channel.c (libuv roles) and lib/sys/msgio.c (master) do that. */
enum gw_msg_type {
	GW_MSG_none_,
#define GW_MSG(name, doc) GW_MSG_##name,
#define GW_MKEY(name, type, doc)
#include "schemas/messages.def"
#undef GW_MSG
#undef GW_MKEY
	GW_MSG_COUNT
};
enum { GW_LEASE_AHEAD = 1, GW_LEASE_REFUSED = 2 }; /* flags of LEASE */
enum { GW_DROP_RENEW = 1 }; /* of LEASE_DROP */
enum gw_mkey {
	GW_MK_type_,
#define GW_MSG(name, doc)
#define GW_MKEY(name, type, doc) GW_MK_##name,
#include "schemas/messages.def"
#undef GW_MSG
#undef GW_MKEY
	GW_MK_COUNT
};
enum { GW_MSG_MAX_FDS = 64, GW_MSG_MAX_BYTES = 64 << 20 };

#define GW_MT_U64 uint64_t
#define GW_MT_STR struct gw_str /* text or bytes; views into the received message */
struct gw_msg {
	enum gw_msg_type type;
	uint64_t has; /* bit per gw_mkey */
#define GW_MSG(name, doc)
#define GW_MKEY(name, type, doc) GW_MT_##type name;
#include "schemas/messages.def"
#undef GW_MSG
#undef GW_MKEY
	int fds
	    [GW_MSG_MAX_FDS]; /* receiver owns them; set to -1 what was taken, the rest is closed after the handler */
	uint32_t n_fds;
};
#define GW_MSG_SET(m, key, value) ((m)->key = (value), (m)->has |= 1ull << GW_MK_##key)
#define GW_MSG_HAS(m, key)        ((m)->has >> GW_MK_##key & 1)

void gw_msg_pack(struct gw_buf *b, const struct gw_msg *m);
/* fds untouched. A type that this program does not know (of a newer peer, during an upgrade) comes out as GW_MSG_COUNT: receivers pass it
 * over as they pass over unknown keys. */
GW_MUST enum gw_err gw_msg_unpack(struct gw_str bytes, struct gw_msg *m);
const char *gw_msg_name(enum gw_msg_type t);
