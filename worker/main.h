#pragma once
struct gw_worker;
int gw_worker_main(void);
/* Begin to accept on the slot's own socket. */
void gw_worker_accept(struct gw_worker *w);
