/* The timer wheel, see wheel.h. */
#include "net/wheel.h"

static void on_timer(uv_timer_t *t);

enum gw_err gw_wheel_init(struct gw_wheel *w, uv_loop_t *loop)
{
	int r = uv_timer_init(loop, &w->timer);

	if (r != 0)
		return gw_err_from_errno(r);
	w->timer.data = w;
	for (uint32_t i = 0; i < GW_WHEEL_SLOTS; i++)
		w->slots[i].next = w->slots[i].prev = &w->slots[i];
	for (uint32_t i = 0; i < GW_WHEEL_SLOTS / 64; i++)
		w->used[i] = 0;
	w->at = uv_now(loop) / GW_WHEEL_SLOT_MS;
	w->armed_ms = UINT64_MAX;
	w->n = 0;
	return GW_OK;
}

void gw_wheel_close(struct gw_wheel *w, uv_close_cb on_closed, void *ctx)
{
	w->timer.data = ctx;
	uv_close((uv_handle_t *)&w->timer, on_closed);
}

uint64_t gw_wheel_now_ms(const struct gw_wheel *w)
{
	return uv_now(w->timer.loop);
}

static void arm(struct gw_wheel *w, uint64_t when_ms)
{
	uint64_t now = uv_now(w->timer.loop);

	if (when_ms >= w->armed_ms)
		return;
	w->armed_ms = when_ms;
	(void)uv_timer_start(&w->timer, on_timer, when_ms > now ? when_ms - now : 0, 0); /* fails only while closing */
}

static void link_item(struct gw_wheel *w, struct gw_wheel_item *it)
{
	/* the slot after the one the time lies in: late, never early; never a slot that has been passed */
	uint64_t slot = it->due_ms / GW_WHEEL_SLOT_MS + 1;
	struct gw_wheel_item *head;

	if (slot <= w->at)
		slot = w->at + 1;
	head = &w->slots[slot % GW_WHEEL_SLOTS];
	it->prev = head->prev;
	it->next = head;
	head->prev->next = it;
	head->prev = it;
	w->used[slot % GW_WHEEL_SLOTS / 64] |= 1ull << (slot % 64);
	if (slot - w->at > GW_WHEEL_SLOTS) /* seen for the first time when its slot next comes by */
		slot = w->at + (slot - w->at) % GW_WHEEL_SLOTS;
	arm(w, (slot > w->at ? slot : slot + GW_WHEEL_SLOTS) * GW_WHEEL_SLOT_MS);
}

void gw_wheel_drop(struct gw_wheel *w, struct gw_wheel_item *it)
{
	if (!it->next)
		return;
	it->prev->next = it->next;
	it->next->prev = it->prev;
	it->next = it->prev = NULL;
	w->n--;
}

void gw_wheel_set(struct gw_wheel *w, struct gw_wheel_item *it, uint64_t due_ms)
{
	gw_wheel_drop(w, it);
	if (w->n == 0) /* an idle wheel does not turn; catch up without visiting slots */
		w->at = uv_now(w->timer.loop) / GW_WHEEL_SLOT_MS;
	it->due_ms = due_ms;
	w->n++;
	link_item(w, it);
}

/* Calls what is due in one slot. Items may add and drop others, so the list is taken over first. */
static void visit(struct gw_wheel *w, uint64_t slot, uint64_t now_ms)
{
	struct gw_wheel_item *head = &w->slots[slot % GW_WHEEL_SLOTS], todo;

	w->used[slot % GW_WHEEL_SLOTS / 64] &= ~(1ull << (slot % 64));
	if (head->next == head)
		return;
	todo = *head;
	todo.next->prev = todo.prev->next = &todo;
	head->next = head->prev = head;
	while (todo.next != &todo) {
		struct gw_wheel_item *it = todo.next;

		gw_wheel_drop(w, it);
		if (it->due_ms > now_ms) {
			w->n++;
			link_item(w, it);
		} else {
			it->fn(it->ctx);
		}
	}
}

static void on_timer(uv_timer_t *t)
{
	struct gw_wheel *w = t->data;
	uint64_t now_ms = uv_now(t->loop), last = now_ms / GW_WHEEL_SLOT_MS, from = w->at;

	w->armed_ms = UINT64_MAX;
	if (last - from > GW_WHEEL_SLOTS)
		from = last - GW_WHEEL_SLOTS;
	for (uint64_t s = from + 1; s <= last; s++) {
		w->at = s;
		if (w->used[s % GW_WHEEL_SLOTS / 64] & (1ull << (s % 64)))
			visit(w, s, now_ms);
	}
	w->at = last;
	for (uint64_t s = last + 1; w->n > 0 && s <= last + GW_WHEEL_SLOTS; s++)
		if (w->used[s % GW_WHEEL_SLOTS / 64] & (1ull << (s % 64))) {
			arm(w, s * GW_WHEEL_SLOT_MS);
			return;
		}
}
