#!/usr/bin/env python3
"""The price catalogue: what providers publish, as integers of pico-USD.

    tools/prices.py make SOURCE.json --source "NAME VERSION" --date YYYY-MM-DD --out schemas/prices.json --quarantine schemas/prices_quarantine.json
    tools/prices.py table schemas/prices.json OUT.c           the C table that the build makes of it

SOURCE is a model price map with the field names of LiteLLM (input_cost_per_token, ..._above_200k_tokens, ..._batches, ...), as the litellm
package carries it: a source of facts (prices, limits, kind of model), nothing else of it is taken. The same input gives the same bytes.

Numbers are read as decimal text, never as floats. What cannot be right is not used but listed in the quarantine file with the reason: prices
above 0.001 USD a token, negative ones, values that are no numbers. Models whose prices are all zero are left out but for those that run on
one's own machine: "not known" must not become "free".

Docs: docs/COST.md."""
import argparse
import decimal
import hashlib
import json
import pathlib
import re
import sys

# Names of the source's providers -> ours. What is not here is not in the catalogue.
PROVIDERS = {
    "openai": "openai", "text-completion-openai": "openai", "azure": "azure", "azure_text": "azure", "azure_ai": "azure",
    "anthropic": "anthropic", "bedrock": "bedrock", "bedrock_converse": "bedrock", "bedrock_mantle": "bedrock", "amazon_nova": "bedrock",
    "gemini": "gemini", "cohere": "cohere", "cohere_chat": "cohere", "mistral": "mistral", "codestral": "mistral",
    "text-completion-codestral": "mistral", "groq": "groq", "deepseek": "deepseek", "xai": "xai", "openrouter": "openrouter",
    "together_ai": "together", "fireworks_ai": "fireworks", "fireworks_ai-embedding-models": "fireworks", "perplexity": "perplexity",
    "cerebras": "cerebras", "nvidia_nim": "nvidia", "huggingface": "huggingface", "writer": "writer", "ollama": "ollama",
    "voyage": "voyage", "moonshot": "moonshot", "dashscope": "alibaba", "zai": "zai", "snowflake": "snowflake", "jina_ai": "jina",
    "sambanova": "sambanova", "deepinfra": "deepinfra", "nebius": "nebius", "novita": "novita", "hyperbolic": "hyperbolic",
    "minimax": "minimax", "ai21": "ai21", "cloudflare": "cloudflare", "databricks": "databricks", "watsonx": "watsonx",
}
OWN_MACHINE = {"ollama"}  # zero is their price
CLASSES = {  # field of the source -> our class; longer names are tried first
    "input_cost_per_token": "input", "output_cost_per_token": "output", "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read", "input_cost_per_token_cache_hit": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m", "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_in", "output_cost_per_audio_token": "audio_out",
    "input_cost_per_image_token": "image_in", "output_cost_per_image_token": "image_out",
    "output_cost_per_image": "image", "input_cost_per_second": "second", "output_cost_per_second": "second_out",
    "input_cost_per_character": "character", "input_cost_per_query": "query", "output_cost_per_pixel": "pixel",
}
ORDER = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_in", "audio_out", "image_in",
         "image_out", "search_low", "search_medium", "search_high", "query", "image", "second", "character", "pixel"]
TIERS = {"": "", "batches": "batch", "flex": "flex", "priority": "priority"}
TIER_ORDER = ["", "flex", "priority", "batch"]
PICO = decimal.Decimal(10) ** 12
CEILING = {"search_low": 1, "search_medium": 1, "search_high": 1, "query": 1, "image": 10, "second": 10}  # USD; all others 0.001
MAX_ABOVE_K = 65535
FIELD = re.compile("^(" + "|".join(sorted(CLASSES, key=len, reverse=True)) + r")(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?$")


class Refused(Exception):
    pass


def pico(text, cls):
    """Decimal text of USD -> integer pico-USD, half even below that."""
    if not isinstance(text, str) or not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d{1,3})?", text):
        raise Refused("not a number")
    value = decimal.Decimal(text)
    if value < 0:
        raise Refused("negative")
    if value > decimal.Decimal(str(CEILING.get(cls, "0.001"))):
        raise Refused(f"above {CEILING.get(cls, '0.001')} USD a unit")
    return int((value * PICO).to_integral_value(decimal.ROUND_HALF_EVEN))


def rate_name(cls, above, tier):
    return cls + (f">{above}k" if above else "") + (f"@{tier}" if tier else "")


def rate_key(name):
    cls, above, tier = re.fullmatch(r"([a-z_0-9]+)(?:>(\d+)k)?(?:@([a-z]+))?", name).groups()
    return ORDER.index(cls), int(above or 0), TIER_ORDER.index(tier or "")


def flat(entry):
    """(class, above in thousands, tier, text, field) of each price that an entry tells."""
    for field, text in entry.items():
        m = FIELD.match(field)
        if m:
            yield CLASSES[m[1]], int(m[2] or 0), TIERS[m[3] or ""], text, field
    sizes = entry.get("search_context_cost_per_query")
    if isinstance(sizes, dict):
        for size in ("low", "medium", "high"):
            if f"search_context_size_{size}" in sizes:
                yield f"search_{size}", 0, "", sizes[f"search_context_size_{size}"], "search_context_cost_per_query"
    tiers = entry.get("tiered_pricing")
    for step in tiers if isinstance(tiers, list) else []:
        start = decimal.Decimal(str((step.get("range") or ["0"])[0]))
        if start % 1000 == 0:
            for cls, _, tier, text, field in flat({k: v for k, v in step.items() if k in CLASSES}):
                yield cls, int(start / 1000), tier, text, field


def rates_of(key, entry, quarantine):
    rates = {}
    for cls, above, tier, text, field in flat(entry):
        if cls == "second_out":  # of sound or video that comes out; of sound that goes in both are given and mean the same
            if "input_cost_per_second" in entry:
                continue
            cls = "second"
        try:
            if above > MAX_ABOVE_K:
                raise Refused("threshold too high")
            value = pico(text, cls)
        except Refused as e:
            quarantine.append({"model": key, "field": field, "value": text if isinstance(text, str) else repr(text), "why": str(e)})
            continue
        name = rate_name(cls, above, tier)
        if field == "input_cost_per_token_cache_hit" and name in rates:
            continue
        rates[name] = value
    if entry.get("mode") == "image_generation" and "image" not in rates and isinstance(entry.get("input_cost_per_image"), str):
        try:
            rates["image"] = pico(entry["input_cost_per_image"], "image")
        except Refused as e:
            quarantine.append({"model": key, "field": "input_cost_per_image", "value": entry["input_cost_per_image"], "why": str(e)})
    return rates


def model_name(key, source_provider):
    """The name at the provider: without the source's own prefix. None: a price of one picture size, which is no model's name."""
    head, _, rest = key.partition("/")
    name = rest if rest and head in (source_provider, PROVIDERS.get(source_provider), source_provider.split("-")[0], "azure_ai", "bedrock") else key
    return None if re.search(r"(^|/)(\d+-x-\d+|low|medium|high|hd|standard|max)(-x-\d+)?/", name) else name


PICTURE = re.compile(r"^(?:(low|medium|high|xhigh|hd|standard|max)/)?(\d{2,5})-x-(\d{2,5})/(?:\d+-steps/|max-steps/)?([^/]+)$")


def picture(key, entry, source_provider, quarantine):
    """A price of one size and quality of picture: ("MODEL#QUALITY/WxH", its price) or None. Told for a picture, else for a pixel."""
    name = key.removeprefix(source_provider + "/")
    m = PICTURE.match(name)
    if not m or "max-steps/" in name:
        return None
    quality, width, height, model = m.groups()
    for field, times in (("input_cost_per_image", 1), ("output_cost_per_image", 1), ("input_cost_per_pixel", int(width) * int(height))):
        text = entry.get(field)
        try:
            value = pico(text, "image") if text is not None else 0
            if times > 1 and value:  # a pixel's price has more digits than pico-USD hold: only the product is rounded
                value = int((decimal.Decimal(text) * times * PICO).to_integral_value(decimal.ROUND_HALF_EVEN))
                if value > 10 * PICO:
                    raise Refused("above 10 USD a picture")
        except Refused as e:
            quarantine.append({"model": key, "field": field, "value": text if isinstance(text, str) else repr(text), "why": str(e)})
            return None
        if value:
            return f'{model}#{quality + "/" if quality else ""}{width}x{height}', {"image": value}
    return None


def limit(entry, field):
    text = entry.get(field)
    return int(text) if isinstance(text, str) and re.fullmatch(r"\d{1,9}", text) else 0


def provider_of(entry):
    name = entry.get("litellm_provider")
    if not isinstance(name, str):
        return None
    return "vertex" if name.startswith("vertex_ai") else PROVIDERS.get(name)


def make(source, name, date):
    text = source.decode("utf-8")
    entries = json.loads(text, parse_float=str, parse_int=str)
    rows, quarantine, zero = {}, [], 0
    for key in sorted(entries):
        entry = entries[key]
        provider = provider_of(entry) if isinstance(entry, dict) else None
        if not provider:
            continue
        found = picture(key, entry, entry["litellm_provider"], quarantine)
        if found:
            rows.setdefault((provider, found[0]), {"provider": provider, "model": found[0], "mode": "image_generation", "max_input": 0, "max_output": 0,
                                                   "rates": found[1]})
            continue
        model = model_name(key, entry["litellm_provider"])
        if model is None or not re.fullmatch(r"[!-~]{1,200}", model) or '"' in model or "\\" in model:
            continue
        bad = len(quarantine)
        rates = rates_of(key, entry, quarantine)
        if any(q["field"].startswith(("input_cost_per_token", "output_cost_per_token")) for q in quarantine[bad:]):
            continue  # half a price would be a wrong bill
        if not any(rates.values()) and provider not in OWN_MACHINE:
            zero += 1
            continue
        row = {"provider": provider, "model": model, "mode": entry.get("mode") if isinstance(entry.get("mode"), str) else "chat",
               "max_input": limit(entry, "max_input_tokens"), "max_output": limit(entry, "max_output_tokens"),
               "rates": {n: rates[n] for n in sorted(rates, key=rate_key)}}
        if rates:
            rows.setdefault((provider, model), row)
    head = {"source": name, "sha256": hashlib.sha256(source).hexdigest(), "date": date, "unit": "pico-USD",
            "note": "Facts (prices, limits, kinds of models) out of the model price map of LiteLLM (MIT). Made by tools/prices.py; do not edit, "
                    "set config objects of kind price instead.", "models": len(rows), "without_price": zero, "quarantined": len(quarantine)}
    return head, [rows[k] for k in sorted(rows)], quarantine


def dumps(x):
    return json.dumps(x, ensure_ascii=True, separators=(",", ":"))


def write(path, head, list_name, rows):
    lines = ",\n".join(dumps(r) for r in rows)
    pathlib.Path(path).write_text(json.dumps(head, indent=1)[:-2] + f',\n "{list_name}": [\n{lines}\n]}}\n')


def c_table(catalogue):
    """Names in one block of bytes, rates shared by models that have the same ones; offsets instead of pointers."""
    names, rates, rows, seen = bytearray(), [], [], {}
    modes = sorted({r["mode"] for r in catalogue["prices"]})
    for r in sorted(catalogue["prices"], key=lambda r: f'{r["provider"]}/{r["model"]}'.encode()):
        key = tuple(rate_key(n) + (v,) for n, v in r["rates"].items())
        if key not in seen:
            seen[key] = len(rates)
            rates += key
        name = f'{r["provider"]}/{r["model"]}'.encode()
        rows.append(f'\t{{ {len(names)}, {seen[key]}, {r["max_input"]}, {r["max_output"]}, {len(name)}, {len(key)}, {modes.index(r["mode"])} }},')
        names += name
    out = ["/* Made of prices.json by tools/prices.py. */", '#include "core/price_impl.h"', "",
           f'const char gw_price_catalogue_version[] = "{catalogue["date"]}";',
           "const char *const gw_price_modes[] = { " + ", ".join(f'"{m}"' for m in modes) + " };",
           "const struct gw_price_row gw_price_rows[] = {", *rows, "};", f"const uint32_t gw_price_n_rows = {len(rows)};",
           "const struct gw_price_rate gw_price_rates[] = {",
           *(f"\t{{ {cls}, {TIER_ORDER.index(TIER_ORDER[tier])}, {above}, {value}u }}," for cls, above, tier, value in rates), "};",
           "const char gw_price_names[] = {", *(", ".join(str(b) for b in names[i:i + 32]) + "," for i in range(0, len(names), 32)), "};", ""]
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="what", required=True)
    m = sub.add_parser("make")
    m.add_argument("map", type=pathlib.Path)
    m.add_argument("--source", required=True)
    m.add_argument("--date", required=True)
    m.add_argument("--out", required=True)
    m.add_argument("--quarantine", required=True)
    t = sub.add_parser("table")
    t.add_argument("prices", type=pathlib.Path)
    t.add_argument("out", type=pathlib.Path)
    o = p.parse_args()
    if o.what == "table":
        o.out.write_text(c_table(json.loads(o.prices.read_text())))
        return 0
    head, rows, quarantine = make(o.map.read_bytes(), o.source, o.date)
    write(o.out, head, "prices", rows)
    write(o.quarantine, {k: head[k] for k in ("source", "sha256", "date")}, "quarantine", quarantine)
    print(f'{len(rows)} models, {head["without_price"]} without a price, {len(quarantine)} prices in quarantine')
    return 0


if __name__ == "__main__":
    sys.exit(main())
