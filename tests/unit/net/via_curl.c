/* Linked into a test program: its requests go by libcurl. */
#include <stdbool.h>

extern const bool fake_via_curl;
const bool fake_via_curl = true;
