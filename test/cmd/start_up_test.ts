/**
 * A command should start at once. How long it takes depends on the machine, but
 * what it loads does not: this walks the imports and refuses what costs time.
 */

import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

/** Statements that load a module before the code runs, unlike `import type`. */
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)[^;]*?from\s+"([^"]+)"/gm;

/** Everything that is loaded together with a file: paths from the project's root. */
function loadedWith(path: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  if (!path.endsWith(".ts")) return seen;
  const url = new URL(path, ROOT);
  for (
    const [statement, target] of Deno.readTextFileSync(url).matchAll(
      STATIC_IMPORT,
    )
  ) {
    const names = /\{([^}]*)\}/.exec(statement)?.[1] ?? "x";
    const hasValues = names.split(",").some((name) =>
      /^(?!type\b)\w/.test(name.trim())
    );
    if (!hasValues) continue;
    const isFile = (target as string).startsWith(".");
    const next = isFile
      ? new URL(target as string, url).href.slice(ROOT.href.length)
      : target as string;
    loadedWith(next, seen);
  }
  return seen;
}

/** What every command loads. */
const START = ["main.ts", "cmd/mod.ts", "cmd/terminal.ts"];

/** Commands that are calls; the agent itself may take its time. */
const CALLS = [
  "event",
  "force_leave",
  "info",
  "join",
  "keys",
  "leave",
  "members",
  "monitor",
  "query",
  "reachability",
  "rtt",
  "tags",
];

Deno.test("a command loads no engine, no package and no Node module", () => {
  for (const name of [...CALLS, "help", "keygen", "version"]) {
    const loaded = [
      ...START.flatMap((path) => [...loadedWith(path)]),
      ...loadedWith(`cmd/${name}.ts`),
      ...CALLS.includes(name) ? loadedWith("lib/net/rpc_client.ts") : [],
    ];
    const heavy = loaded.filter((path) =>
      !path.endsWith(".ts") ||
      /^lib\/(agent|serf|sim|swim)\/|vivaldi/.test(path)
    );
    assert.deepEqual(heavy, [], name);
    const { size } = new Set(loaded);
    assert.ok(size < 60, `${name} loads ${size} files`);
  }
});

Deno.test("main.ts loads no command before it knows which one", () => {
  const loaded = (...paths: string[]) =>
    paths.flatMap((path) => [...loadedWith(path)]);
  // What comes before the debugger is shut is what shuts it.
  assert.deepEqual(loaded("main.ts"), [
    "main.ts",
    "cmd/debugger_guard.ts",
    "lib/net/libc.ts",
  ]);
  const commands = loaded("cmd/mod.ts", "cmd/terminal.ts")
    .filter((path) => path.startsWith("cmd/"));
  assert.deepEqual([...new Set(commands)].sort(), [
    "cmd/command_table.ts",
    "cmd/given_text.ts",
    "cmd/mod.ts",
    "cmd/terminal.ts",
    "cmd/visible_terminal.ts",
  ]);
});

Deno.test("loadedWith() follows imports of values, and those alone", () => {
  const loaded = loadedWith("lib/net/rpc_server.ts");
  assert.ok(loaded.has("lib/rpc/server_session.ts"));
  assert.ok(loadedWith("lib/kit/re2.ts").has("re2js"), "a package");
  assert.ok(!loaded.has("lib/serf/event.ts"), "an import of types alone");
  assert.ok(!loaded.has("lib/kit/re2.ts"), "an import made later");
});
