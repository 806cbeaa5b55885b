#pragma once
/* A backup file, as confd and admin write it and `llmgw restore` reads it; numbers are little endian:
 *
 *   "LLMGWBK1" | u32 n | header, n bytes of JSON | records | 'E' | SHA-256 of all before the hash
 *   'R' row    u8 table (index into the header's "tables") | u32 key bytes | u32 value bytes | key | value
 *   'F' file   u16 name bytes | u64 size | name | bytes          a segment of the trail
 *
 * Secrets in it are sealed; what opens them (the root key) is not in it. */
#define GW_BACKUP_MAGIC "LLMGWBK1"
enum { GW_BACKUP_ROW = 'R', GW_BACKUP_FILE = 'F', GW_BACKUP_END = 'E', GW_BACKUP_MAX_HEADER = 65536 };
