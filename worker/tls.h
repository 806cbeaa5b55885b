#pragma once
#include <stdbool.h>
#include <stdint.h>

/* State of worker/tls.c. */
struct gw_secret;
struct gw_worker;
enum { GW_TLS_CERTS = 64 };
struct gw_tls_key {
	char id[64];
	uint8_t id_n;
	uint64_t wanted_version, version; /* of the image's row; of the key held */
	struct gw_secret *key;
	bool is_asking, is_wanted, is_refused; /* refused: confd has none, until another version is wanted */
};
struct gw_worker_tls {
	struct gw_tls_key v[GW_TLS_CERTS];
	uint32_t n, n_served;
	struct gw_secret *ticket_now, *ticket_before;
	uint64_t asked_ms, tickets_due_ms, warn_due_ms;
	bool is_asking_tickets;
	bool is_ready; /* the first context stands, or TLS is off */
};
void gw_worker_tls_refresh(struct gw_worker *w); /* another image is in service */
void gw_worker_tls_confd(struct gw_worker *w); /* there is a channel to a confd */
void gw_worker_tls_tick(struct gw_worker *w, uint64_t now_ms); /* once a second */
