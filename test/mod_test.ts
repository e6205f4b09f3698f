/** The public surface: what it loads, what it says about itself, what it is. */

import assert from "node:assert/strict";
import { VERSION } from "../lib/kit/version.ts";

const ROOT = new URL("..", import.meta.url);

interface ProjectConfig {
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
}

const CONFIG: ProjectConfig = JSON.parse(
  Deno.readTextFileSync(new URL("deno.json", ROOT)),
);

async function runDeno(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Paths of what is loaded with an entry; packages as their specifiers. */
async function loadedWith(entry: string): Promise<string[]> {
  const path = CONFIG.exports[entry] ?? "";
  const graph = JSON.parse(await runDeno("info", "--json", path));
  const loaded = new Map<string, boolean>();
  const visit = (specifier: string) => {
    if (loaded.has(specifier)) return;
    loaded.set(specifier, true);
    const module = graph.modules.find((each: { specifier: string }) =>
      each.specifier === specifier
    );
    for (const { code, isDynamic } of module?.dependencies ?? []) {
      if (code !== undefined && !isDynamic) visit(code.specifier);
    }
  };
  visit(new URL(path, ROOT).href);
  return [...loaded.keys()].map((specifier) =>
    specifier.replace(ROOT.href, "")
  );
}

Deno.test("deno.json and the program have one version", () => {
  assert.equal(CONFIG.version, VERSION);
});

Deno.test("the library loads no cipher, no engine for expressions, no simulator", async () => {
  const loaded = await loadedWith(".");
  assert.ok(loaded.includes("lib/serf/engine.ts"));
  assert.deepEqual(
    loaded.filter((path) =>
      /^lib\/(sim|agent)\/|aead|keyring\.ts|re2|noble|node:/.test(path)
    ),
    [],
  );
});

Deno.test("the client alone loads no engine", async () => {
  const loaded = await loadedWith("./rpc");
  assert.ok(loaded.includes("lib/rpc/client_session.ts"));
  assert.deepEqual(
    loaded.filter((path) => /^lib\/(serf|swim|sim|agent)\/|npm:/.test(path)),
    [],
  );
});

Deno.test("the entries of the library re-export, and do nothing else", () => {
  for (const entry of [".", "./sim"]) {
    const text = Deno.readTextFileSync(
      new URL(CONFIG.exports[entry] ?? "", ROOT),
    );
    const statements = text
      .replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\/\/.*$/gm, "")
      .split(";").map((statement) => statement.trim())
      .filter((statement) => statement !== "");
    assert.ok(statements.length > 5);
    for (const statement of statements) {
      assert.match(statement, /^export (type )?\{[^}]*\} from "\.[^"]+"$/);
    }
  }
});

interface Documented {
  readonly jsDoc?: { readonly doc?: string };
  readonly accessibility?: string;
  readonly name: string;
}

interface Declaration extends Documented {
  readonly kind: string;
  readonly def: { readonly methods?: Documented[]; properties?: Documented[] };
}

/** Classes and interfaces of which each member says what it is for. */
const EXPLAINED = [
  "CoordinateRecord",
  "HostPort",
  "Member",
  "MemberFilter",
  "QueryReplies",
  "ReceivedQuery",
  "ReceivedResponse",
  "ReceivedUserEvent",
  "RpcClient",
  "RpcClientOptions",
  "RpcKeyReport",
  "RpcMember",
  "RpcQuery",
  "RpcReceivedQuery",
  "SampleSummary",
  "SerfConfig",
  "SerfNode",
  "SerfNodeOptions",
  "SnapshotOptions",
  "Subscription",
  "TagChanges",
];

Deno.test("whoever can call it can name its types", async () => {
  for (const path of Object.values(CONFIG.exports)) {
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--lint", path],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    const hidden = new TextDecoder().decode(stderr)
      .matchAll(/^error\[private-type-ref\]: (.*)$/gm);
    // `SwimView` shows all that it takes of the engine below; `LogLevel` is words.
    assert.deepEqual(
      [...hidden].map(([, text]) => text)
        .filter((text) => !/'(SwimEngine|LOG_LEVELS)'/.test(text ?? "")),
      [],
      path,
    );
  }
});

Deno.test("everything in the library is documented", async () => {
  const silent: string[] = [];
  const classes: string[] = [];
  for (const path of Object.values(CONFIG.exports)) {
    const doc = JSON.parse(await runDeno("doc", "--json", path));
    const { symbols } = doc.nodes[new URL(path, ROOT).href];
    assert.ok(symbols.length > 2, path);
    for (const { name, declarations } of symbols) {
      for (const declaration of declarations as Declaration[]) {
        const { kind, def, jsDoc } = declaration;
        if (!jsDoc?.doc) silent.push(`${path}: ${name}`);
        if (!["class", "interface"].includes(kind)) continue;
        if (!EXPLAINED.includes(name)) continue;
        classes.push(name);
        for (const part of [...def.methods ?? [], ...def.properties ?? []]) {
          if (part.accessibility === "private" || part.jsDoc?.doc) continue;
          silent.push(`${path}: ${name}.${part.name}`);
        }
      }
    }
  }
  assert.deepEqual(silent, []);
  assert.deepEqual([...new Set(classes)].sort(), EXPLAINED);
});
