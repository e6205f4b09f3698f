/**
 * Keeps the layering of the code true: which folder may import which, which
 * folders are pure, that no imports run in a circle, and that files named in
 * comments exist. It reads import lines and scans for banned words; it is no
 * parser, so a banned word inside a string would be reported too, and that is fine.
 */

import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

/** What each folder may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "lib/kit": [],
  "lib/wire": ["lib/kit"],
  "lib/coordinate": ["lib/kit"],
  "lib/swim": ["lib/kit", "lib/wire"],
  "lib/serf": ["lib/kit", "lib/wire", "lib/coordinate", "lib/swim"],
  "lib/rpc": ["lib/kit", "lib/wire", "lib/serf (types)"],
  "lib/sim": [
    "lib/kit",
    "lib/wire",
    "lib/coordinate",
    "lib/swim",
    "lib/serf",
    "lib/rpc",
  ],
  "lib/net": [
    "lib/kit",
    "lib/wire",
    "lib/coordinate",
    "lib/swim",
    "lib/serf",
    "lib/rpc",
  ],
  "lib/agent": [
    "lib/kit",
    "lib/wire",
    "lib/coordinate",
    "lib/swim",
    "lib/serf",
    "lib/rpc",
    "lib/net",
  ],
  "cmd": [
    "lib/agent",
    "lib/rpc",
    "lib/coordinate",
    "lib/kit",
    "lib/net",
    "lib/sim",
  ],
  "build": ["main.ts", "cmd", "lib/agent", "lib/net", "lib/kit"],
};

/** Packages and built-in modules, and the one place that may import each. */
const MAY_IMPORT_PACKAGE: Readonly<Record<string, readonly string[]>> = {
  "@noble/ciphers/aes.js": ["lib/wire/aead.ts"],
  "node:crypto": ["lib/wire/aead.ts", "lib/net/", "lib/agent/"],
  "dns-packet": ["lib/net/mdns_message.ts"],
  "node:buffer": ["lib/net/mdns_message.ts"],
  "node:dgram": ["lib/net/mdns.ts"],
  "node:dns": ["lib/net/"],
  "fflate": ["build/package.ts"],
  "re2js": ["lib/kit/", "lib/rpc/", "lib/net/", "lib/agent/"],
};

const PURE = [
  "lib/kit",
  "lib/wire",
  "lib/coordinate",
  "lib/swim",
  "lib/serf",
  "lib/rpc",
  "lib/sim",
];

/** What makes a function depend on more than its arguments. */
const IMPURE = [
  /\basync\b/,
  /\bawait\b/,
  /\bDate\b/,
  /\bperformance\./,
  /\bMath\.random\b/,
  /\bsetTimeout\b/,
  /\bsetInterval\b/,
  /\bDeno\./,
  /\bcrypto\.getRandomValues\b/,
];

const LEFTOVERS = [
  /\bTODO\b/,
  /\bFIXME\b/,
  /\bXXX\b/,
  /console\.log\(/,
  /Deno\.test\.only/,
];

/** Where a line longer than a screen of code is no sign of two things in one file. */
const LINES_MAX = 600;

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
}

function* sourceFiles(...folders: string[]): Generator<SourceFile> {
  for (const folder of folders) {
    for (const entry of Deno.readDirSync(join(ROOT, folder))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) yield* sourceFiles(path);
      else if (path.endsWith(".ts")) {
        const text = Deno.readTextFileSync(join(ROOT, path));
        yield { path, text, code: withoutComments(text) };
      }
    }
  }
}

/** Paths of all files below a folder that are part of the project. */
function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap((entry) => {
    const path = folder === "." ? entry.name : `${folder}/${entry.name}`;
    if (/^(\.git|dist|coverage|node_modules)$/.test(entry.name)) return [];
    return entry.isDirectory ? filesBelow(path) : [path];
  });
}

const COMMENT = /\/\*[\s\S]*?\*\/|(?:^|\s)\/\/.*$/gm;

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

interface Import {
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

function importsOf(code: string): Import[] {
  const found: Import[] = [];
  const pattern =
    /(import|export)(\s+type)?\s[^;"]*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g;
  for (const match of code.matchAll(pattern)) {
    found.push({
      specifier: (match[3] ?? match[4]) as string,
      isTypeOnly: match[2] !== undefined,
    });
  }
  return found;
}

function roomOf(path: string): string {
  const [top, next] = path.split("/");
  return top === "lib" ? `lib/${next}` : top as string;
}

/** What a path in an import leads to, from the root. */
function targetOf(path: string, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(path), specifier));
}

function problemOfImport(file: SourceFile, found: Import): string | undefined {
  const { specifier, isTypeOnly } = found;
  if (specifier.startsWith(".")) {
    const target = targetOf(file.path, specifier);
    const from = roomOf(file.path);
    const to = roomOf(target);
    const allowed = MAY_IMPORT[from];
    if (from === to || allowed === undefined) return undefined;
    if (allowed.includes(to)) return undefined;
    if (isTypeOnly && allowed.includes(`${to} (types)`)) return undefined;
    return `${file.path}: ${from} may not import ${to} (${specifier})`;
  }
  const places = MAY_IMPORT_PACKAGE[specifier];
  if (places === undefined) {
    const isBuiltIn = specifier.startsWith("node:");
    const isPure = PURE.includes(roomOf(file.path));
    return isPure || !isBuiltIn
      ? `${file.path}: ${specifier} has no place in this folder`
      : undefined;
  }
  return places.some((place) => file.path.startsWith(place))
    ? undefined
    : `${file.path}: only ${places.join(", ")} may import ${specifier}`;
}

/** Groups of files that import each other in a circle, each sorted. Source: Tarjan 1972. */
function cyclesOf(files: readonly SourceFile[]): string[][] {
  const imports = new Map(files.map(({ path, code }) => [
    path,
    importsOf(code).filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier }) => targetOf(path, specifier)),
  ]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (path: string): void => {
    order.set(path, order.size);
    lowest.set(path, order.get(path) as number);
    stack.push(path);
    for (const next of imports.get(path) ?? []) {
      if (!imports.has(next)) continue;
      const isNew = !order.has(next);
      if (isNew) visit(next);
      if (!isNew && !stack.includes(next)) continue;
      const reached = (isNew ? lowest : order).get(next) as number;
      lowest.set(path, Math.min(lowest.get(path) as number, reached));
    }
    if (lowest.get(path) !== order.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1) cycles.push(group.sort());
  };
  for (const path of imports.keys()) if (!order.has(path)) visit(path);
  return cycles;
}

/** Files of ours that a comment names in code font. */
const NAMED_FILE = /`([\w./-]*\w\.(?:ts|md))`/g;

Deno.test("imports follow the layering table", () => {
  const problems: string[] = [];
  let count = 0;
  for (const file of sourceFiles("lib", "cmd", "build")) {
    for (const found of importsOf(file.code)) {
      count++;
      const problem = problemOfImport(file, found);
      if (problem !== undefined) problems.push(problem);
    }
  }
  assert.deepEqual(problems, []);
  assert.ok(
    count > 50,
    `only ${count} imports were found: is the scan broken?`,
  );
});

Deno.test("no imports run in a circle", () => {
  assert.deepEqual(cyclesOf([...sourceFiles("lib", "cmd", "build")]), []);
});

Deno.test("files that comments name exist", () => {
  const files = [...sourceFiles("lib", "cmd", "build", "demo", "test")];
  const paths = [
    "main.ts",
    ...files.map(({ path }) => path),
    ...filesBelow(".").filter((path) => path.endsWith(".md")),
  ];
  const problems: string[] = [];
  let count = 0;
  for (const { path, text } of files) {
    for (const [comment] of text.matchAll(COMMENT)) {
      for (const [, name = ""] of comment.matchAll(NAMED_FILE)) {
        count++;
        const isThere = paths.some((each) =>
          each === name || each.endsWith(`/${name}`)
        );
        if (!isThere) problems.push(`${path}: ${name}`);
      }
    }
  }
  assert.deepEqual(problems, []);
  assert.ok(count > 50, `only ${count} names were found`);
});
Deno.test("pure folders have no clock, no chance, no waiting", () => {
  const problems: string[] = [];
  for (const file of sourceFiles(...PURE)) {
    for (const banned of IMPURE) {
      const match = banned.exec(file.code);
      if (match !== null) problems.push(`${file.path}: ${match[0]}`);
    }
  }
  assert.deepEqual(problems, []);
});

Deno.test("no leftovers, and no file that is two things", () => {
  const problems: string[] = [];
  for (const file of sourceFiles("lib", "cmd", "build")) {
    for (const leftover of LEFTOVERS) {
      const match = leftover.exec(file.text);
      if (match !== null) problems.push(`${file.path}: ${match[0]}`);
    }
    const lines = file.text.split("\n").length;
    if (lines > LINES_MAX) problems.push(`${file.path}: ${lines} lines`);
  }
  assert.deepEqual(problems, []);
});

Deno.test("the checks of this file can fail", () => {
  const file = (path: string, text: string): SourceFile => ({
    path,
    text,
    code: withoutComments(text),
  });
  const upward = file(
    "lib/wire/x.ts",
    'import { a } from "../swim/engine.ts";',
  );
  assert.match(
    problemOfImport(upward, importsOf(upward.code)[0] as Import) ?? "",
    /may not import lib\/swim/,
  );
  const packaged = file(
    "lib/serf/x.ts",
    'import { a } from "@noble/ciphers/aes.js";',
  );
  assert.match(
    problemOfImport(packaged, importsOf(packaged.code)[0] as Import) ?? "",
    /only lib\/wire\/aead.ts/,
  );
  assert.ok(
    IMPURE.some((banned) => banned.test(withoutComments("x = Date.now();"))),
  );
  assert.ok(
    !IMPURE.some((banned) => banned.test(withoutComments("// a Date\n"))),
  );
  const circle = [["a", "b"], ["b", "c"], ["c", "a"], ["d", "a"]].map((
    [path, next],
  ) => file(`lib/kit/${path}.ts`, `import type { x } from "./${next}.ts";`));
  assert.deepEqual(cyclesOf(circle), [
    ["lib/kit/a.ts", "lib/kit/b.ts", "lib/kit/c.ts"],
  ]);
});
