#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

/* Counting references, making and freeing are safe from several threads.
 * Bytes that no formatter takes: opaque, not a gw_str, freed wiped, kept in locked pages that a core dump leaves out
 * and a fork does not inherit. Only secret.c, lib/crypto*.c and the few callers of gw_secret_expose see the bytes; a
 * test lists those callers. */
struct gw_secret;

/* Copies; the caller wipes its own copy. At most 64 KiB. NULL when memory is short. */
struct gw_secret *gw_secret_new(const void *p, size_t n);
/* One with n bytes still to be written through *bytes, for producers of secrets (decryption, key making). */
struct gw_secret *gw_secret_room(size_t n, uint8_t **bytes);
struct gw_secret *gw_secret_ref(struct gw_secret *s);
void gw_secret_unref(struct gw_secret *s); /* wipes at zero; accepts NULL */
size_t gw_secret_len(const struct gw_secret *s);
/* The bytes, for writing an auth header, wrapping or hashing. Never log, never store. Valid while s is referenced. */
struct gw_str gw_secret_expose(const struct gw_secret *s);
/* First 8 hex of SHA-256("llmgw/fp" || bytes): what people see instead. out has 9 bytes. */
void gw_secret_fingerprint(const struct gw_secret *s, char out[9]);
/* memset that the compiler keeps. */
void gw_wipe(void *p, size_t n);
/* How many secrets are alive (leak tests). */
size_t gw_secret_alive(void);
