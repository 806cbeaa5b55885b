#pragma once
#include "confd/core.h"
#include "confd/image_build.h"

/* The publishing thread: turns the newest committed state into images. Several changes that come while it works become one
 * publication; at most half of the thread's time goes into building. Keys that changed go into the small delta image at once and are folded into their shards in the background.
 *
 *   main loop                              thread
 *   gw_publisher_note (before a commit)
 *   commit
 *   gw_publisher_kick            ------->  read transaction, build what changed
 *   gw_publisher_take            <-------  ready(ctx): wakes the main loop
 */
struct gw_publication {
	uint64_t generation;
	bool is_full; /* all images */
	struct gw_built image[GW_IMAGE_COUNT]; /* fd -1: unchanged */
	uint64_t build_us;
	enum gw_err err; /* nothing could be built; fds are -1 */
	struct gw_publication *next;
};
void gw_publication_free(struct gw_publication *p);

struct gw_publisher;
/* `ready` is called in the thread. Nothing is built before the first kick. */
typedef void gw_publisher_fn(void *ctx);
GW_MUST enum gw_err gw_publisher_start(struct gw_store *s, gw_publisher_fn *ready, void *ctx,
				       struct gw_publisher **out);
void gw_publisher_stop(struct gw_publisher *p); /* waits for the thread; accepts NULL */
void gw_publisher_note(struct gw_publisher *p, const struct gw_effects *fx, uint64_t generation);
void gw_publisher_kick(struct gw_publisher *p);
/* Everything anew. */
void gw_publisher_all(struct gw_publisher *p);
/* Oldest finished publication, the caller's; NULL = none. */
struct gw_publication *gw_publisher_take(struct gw_publisher *p);
/* Keys in the delta at present. */
size_t gw_publisher_delta(struct gw_publisher *p);
enum { GW_FOLD_AT = 2048, GW_PUBLISH_INTERVAL_MS = 5 };
