#pragma once
struct gw_slot;
/* Texts of a crash (broken promise, fatal signal) go to this slot, where the master finds them. */
void gw_crash_slot(struct gw_slot *slot);
