/* The timer wheel: late by at most a slot or two, never early, whatever the distance; items that add, move and drop others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "net/wheel.h"

enum { N = 400 };
static struct gw_wheel w;
static uv_loop_t loop;
static int fired, early, late;
static struct gw_wheel_item items[N];

/* A plain timer beside the wheel. A loaded machine may stop the process, and then everything is late; the wheel is to blame only when the
 * loop turned after the time and the item had not fired. */
static uv_timer_t witness;
static uint64_t last_turn_ms;

static void on_witness(uv_timer_t *t)
{
	last_turn_ms = uv_now(t->loop);
}

static void note(void *ctx)
{
	struct gw_wheel_item *it = ctx;
	uint64_t now = gw_wheel_now_ms(&w);

	fired++;
	early += now < it->due_ms;
	late += last_turn_ms < now && last_turn_ms > it->due_ms + 4 * GW_WHEEL_SLOT_MS;
}

static void start(void)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(gw_wheel_init(&w, &loop), GW_OK);
	fired = early = late = 0;
	last_turn_ms = 0;
	(void)uv_timer_init(&loop, &witness);
	(void)uv_timer_start(&witness, on_witness, 1, 1);
	uv_unref((uv_handle_t *)&witness);
	for (int i = 0; i < N; i++)
		items[i] = (struct gw_wheel_item){ .fn = note, .ctx = &items[i] };
}

static void stop(void)
{
	uv_close((uv_handle_t *)&witness, NULL);
	gw_wheel_close(&w, NULL, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_times(void **state)
{
	uint64_t now;

	(void)state;
	start();
	now = gw_wheel_now_ms(&w);
	for (int i = 0; i < N; i++) /* 0 to 1.2 s, many in one slot */
		gw_wheel_set(&w, &items[i], now + (uint64_t)(i * 37 % 1200));
	uv_run(&loop, UV_RUN_DEFAULT); /* ends by itself: an empty wheel does not keep the loop awake */
	assert_int_equal(fired, N);
	assert_int_equal(early, 0);
	assert_int_equal(late, 0);
	assert_int_equal(w.n, 0);
	stop();
}

/* Further away than a turn of the wheel (8.2 s): must not fire when its slot first comes by. */
static void test_far(void **state)
{
	uint64_t now;

	(void)state;
	start();
	now = gw_wheel_now_ms(&w);
	gw_wheel_set(&w, &items[0], now + GW_WHEEL_SLOTS * GW_WHEEL_SLOT_MS + 300);
	gw_wheel_set(&w, &items[1], now + 100 * 60000);
	gw_wheel_set(&w, &items[2], now + 400);
	while (fired < 1)
		uv_run(&loop, UV_RUN_ONCE);
	assert_null(items[2].next);
	assert_non_null(items[0].next);
	while (fired < 2)
		uv_run(&loop, UV_RUN_ONCE);
	assert_null(items[0].next);
	assert_int_equal(early, 0);
	assert_non_null(items[1].next);
	gw_wheel_drop(&w, &items[1]);
	gw_wheel_drop(&w, &items[1]);
	assert_int_equal(w.n, 0);
	stop();
}

static void drop_all(void *ctx)
{
	note(ctx);
	for (int i = 1; i < N; i++)
		gw_wheel_drop(&w, &items[i]);
}

static void test_drop_from_callback(void **state)
{
	uint64_t now;

	(void)state;
	start();
	items[0].fn = drop_all;
	now = gw_wheel_now_ms(&w);
	for (int i = 0; i < N; i++)
		gw_wheel_set(&w, &items[i], now + 20);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(fired, 1);
	stop();
}

static void add_again(void *ctx)
{
	struct gw_wheel_item *it = ctx;

	if (++fired < 20)
		gw_wheel_set(&w, it, 0); /* already past: next slot, not this one for ever */
}

static void test_add_from_callback(void **state)
{
	(void)state;
	start();
	items[0].fn = add_again;
	gw_wheel_set(&w, &items[0], 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(fired, 20);
	stop();
}

static void test_move(void **state)
{
	uint64_t now;

	(void)state;
	start();
	now = gw_wheel_now_ms(&w);
	for (int i = 0; i < N; i++)
		gw_wheel_set(&w, &items[i], now + 5000);
	for (int i = 0; i < N; i++)
		gw_wheel_set(&w, &items[i], now + 10);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(fired, N);
	uv_update_time(&loop);
	assert_true(gw_wheel_now_ms(&w) < now + 4000);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_drop_from_callback),
		cmocka_unit_test(test_add_from_callback),
		cmocka_unit_test(test_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
