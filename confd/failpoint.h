#pragma once
/* Places where confd can be made to die on the spot, one for each crash point that its tests name. They exist only in the program that
 * tests/plant builds with GW_FAILPOINTS; in the product they are nothing.
 *
 * gw_failpoint("x") kills the process when the file failpoint.x is in the data folder, and takes that file away first;
 * gw_failpoint_hit("x") takes it away and says that it was there. */
#include <stdbool.h>

#ifdef GW_FAILPOINTS
void gw_failpoint_dir(const char *data_dir);
void gw_failpoint(const char *name);
bool gw_failpoint_hit(const char *name);
#else
#define gw_failpoint_dir(dir)  ((void)0)
#define gw_failpoint(name)     ((void)0)
#define gw_failpoint_hit(name) false
#endif
