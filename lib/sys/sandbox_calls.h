#pragma once
#include <linux/filter.h>

#include "lib/sys/sandbox.h"

/* The seccomp half of lib/sys/sandbox.h: rows of system calls and the BPF program made of them. */
enum { GW_SB_MAX_PROGRAM = 1024 };

/* Writes the program of a role; returns its length, 0 on a processor for which there are no rows. */
unsigned short gw_sandbox_program(enum gw_sandbox_role role, uint32_t own_pid,
				  struct sock_filter out[GW_SB_MAX_PROGRAM]);
