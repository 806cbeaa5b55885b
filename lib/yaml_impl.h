#pragma once
#include "lib/json.h"

/* Shared by lib/yaml*.c only. */

/* What the YAML 1.2 core schema (10.3.2) makes of a plain scalar. */
enum gw_yaml_kind { GW_YAML_NULL, GW_YAML_BOOL, GW_YAML_INT, GW_YAML_FLOAT, GW_YAML_NO_NUMBER, GW_YAML_STR };
/* NO_NUMBER is .inf and .nan, which JSON cannot hold. */
enum gw_yaml_kind gw_yaml_resolve(struct gw_str plain);
