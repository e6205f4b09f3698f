/**
 * Keeps the layering of the code true: who may import whom, and which folders
 * are pure. It reads import lines and scans for banned words; it is no parser,
 * so a banned word inside a string would be reported too, and that is fine.
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

function problemOfImport(file: SourceFile, found: Import): string | undefined {
  const { specifier, isTypeOnly } = found;
  if (specifier.startsWith(".")) {
    const target = relative(ROOT, join(ROOT, dirname(file.path), specifier));
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
});
