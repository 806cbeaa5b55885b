/* Linked into a test program: its requests go by the native client. */
#include <stdbool.h>

extern const bool fake_via_curl;
const bool fake_via_curl = false;
