/* The control page (the master's word about every process) and the beats of the roles that have no slot. */
#include "shm/control.h"
#include <stdio.h>

/* Everything that a reader relies on: sizes, and the numbers that index the arrays. */
static uint64_t control_layout(void)
{
	char text[160];
	int n = snprintf(text, sizeof(text), "control 1 %zu %zu slots %d roles %d gone %d", sizeof(struct gw_control),
			 sizeof(struct gw_control_child), GW_MAX_SLOTS, GW_ROLE_COUNT, GW_CHILD_GONE);

	return gw_layout_hash(text, (size_t)n);
}

static uint64_t beats_layout(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "beats 1 %zu roles %d", sizeof(struct gw_beats), GW_ROLE_COUNT);

	return gw_layout_hash(text, (size_t)n);
}

enum gw_err gw_control_make(const char *dir, struct gw_control **out)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "control", -1);

	/* A page of another layout is an older binary's; its readers keep their mapping of it. */
	if (!e)
		e = gw_region_make(path, "control", control_layout(), sizeof(struct gw_control), true, &was_there,
				   &map);
	if (!e)
		*out = map.p;
	return e;
}

enum gw_err gw_control_open(const char *dir, const struct gw_control **out)
{
	char path[256];
	struct gw_map map;
	enum gw_err e = gw_region_path(path, dir, "control", -1);

	if (!e)
		e = gw_region_open(path, "control", control_layout(), false, &map);
	if (!e)
		*out = map.p;
	return e;
}

enum gw_err gw_beats_open(const char *dir, bool may_make, struct gw_beats **out)
{
	char path[256];
	struct gw_map map;
	bool was_there;
	enum gw_err e = gw_region_path(path, dir, "beats", -1);

	if (!e && may_make)
		e = gw_region_make(path, "beats", beats_layout(), sizeof(struct gw_beats), true, &was_there, &map);
	else if (!e)
		e = gw_region_open(path, "beats", beats_layout(), true, &map);
	if (!e)
		*out = map.p;
	return e;
}
