import assert from "node:assert/strict";
import { AGENT_FLAGS } from "../../cmd/agent_flags.ts";
import { command } from "../../cmd/agent.ts";
import {
  CONFIG_KEYS,
  FILE_KEYS,
  keysAsMarkdown,
} from "../../lib/agent/config_keys.ts";
import { DEFAULT_SETTINGS } from "../../lib/agent/config_layer.ts";
import { FakeTerminal } from "../cmd/fake_terminal.ts";

Deno.test("CONFIG_KEYS has each setting once, and each key", () => {
  assert.deepEqual(
    CONFIG_KEYS.map(({ setting }) => setting).sort(),
    Object.keys(DEFAULT_SETTINGS).sort(),
  );
  const keys = CONFIG_KEYS.map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length);
  for (const key of keys) assert.match(key, /^(mdns\.)?[a-z]+(_[a-z0-9]+)*$/);
});

Deno.test("CONFIG_KEYS names all flags, and none that there is not", () => {
  const named = CONFIG_KEYS.flatMap(({ flag }) => flag ?? []);
  // These say where settings are, or are not about a running agent.
  const others = ["check", "config-dir", "config-file", "format"];
  assert.deepEqual(
    [...named, ...others].sort(),
    Object.keys(AGENT_FLAGS).sort(),
  );
});

Deno.test("serf agent -help shows all flags, in order, and lines that fit", () => {
  const help = command.help(new FakeTerminal());
  const shown = [...help.matchAll(/^ {2}-([a-z0-9-]+)/gm)].map(([, name]) =>
    name
  );
  assert.deepEqual(shown, Object.keys(AGENT_FLAGS).sort());
  for (const line of help.split("\n")) assert.ok(line.length <= 84, line);
});

Deno.test("keysAsMarkdown() has a row of four cells for each key of files", () => {
  const rows = keysAsMarkdown().split("\n").slice(2);
  assert.equal(rows.length, FILE_KEYS.length);
  for (const row of rows) assert.equal(row.split(" | ").length, 4, row);
  assert.ok(
    rows.includes(
      '| `profile` | `-profile` | "lan", "wan" or "local" | Timing for the network between the members |',
    ),
  );
});

/** The cells of each row of the first table in a text. */
function cellsOf(text: string): string[][] {
  const first = text.indexOf("\n|");
  const lines = text.slice(first + 1).split("\n");
  const end = lines.findIndex((line) => !line.startsWith("|"));
  return lines.slice(0, end < 0 ? undefined : end)
    .filter((line) => !/^[| -]+$/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));
}

Deno.test("docs/configuration.md has the table of keys", () => {
  const page = new URL("../../docs/configuration.md", import.meta.url);
  assert.deepEqual(
    cellsOf(Deno.readTextFileSync(page)),
    cellsOf(`\n${keysAsMarkdown()}`),
  );
});
