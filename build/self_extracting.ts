/**
 * An executable for Linux and macOS without any download: the Deno that is running
 * and the bundled program, compressed behind a shell script that unpacks them.
 * How that file behaves is written at the top of the script, `head.sh`.
 */

import { join } from "node:path";
import { ISOLATION_FLAGS, PERMISSION_FLAGS } from "./permissions.ts";
import { tar, type TarFile } from "./tar.ts";

const HEAD = new URL("head.sh", import.meta.url);
/** Name of the run-time in the archive; it is what `ps` shows. */
const RUNTIME_NAME = "serf";
/** Of the hash in the directory's name, hexadecimal digits. */
const HASH_DIGITS = 16;

export interface SelfExtractingOptions {
  /** The directory of the bundle; it begins with `start.js`. */
  readonly bundle: string;
  readonly output: string;
  readonly version: string;
}

/** Builds the file. */
export async function buildSelfExtracting(
  options: SelfExtractingOptions,
): Promise<void> {
  const { bundle, output, version } = options;
  const files = [
    {
      name: RUNTIME_NAME,
      bytes: Deno.readFileSync(Deno.execPath()),
      isExecutable: true,
    },
    ...filesOf(bundle),
  ];
  const archive = await compress(tar(files));
  const head = renderHead(Deno.readTextFileSync(HEAD), {
    VERSION: version,
    TARGET: `${Deno.build.os} on ${Deno.build.arch}`,
    NAME: `${version}-${await hashOf(files)}`,
    COUNT: String(files.length),
    BYTES: String(files.reduce((sum, { bytes }) => sum + bytes.length, 0)),
    FLAGS: [...ISOLATION_FLAGS, ...PERMISSION_FLAGS].join(" \\\n  "),
  });
  // A program that is running cannot be written over, but another may take its place.
  const successor = `${output}.new`;
  using file = await Deno.open(successor, {
    write: true,
    create: true,
    truncate: true,
  });
  const writer = file.writable.getWriter();
  await writer.write(head);
  for (const piece of archive) await writer.write(piece);
  await writer.close();
  Deno.chmodSync(successor, 0o755);
  Deno.renameSync(successor, output);
}

/** The files of a directory, by name. */
function filesOf(folder: string): TarFile[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => ({ name, bytes: Deno.readFileSync(join(folder, name)) }));
}

/** What the contents are called; the same contents, the same name. */
async function hashOf(files: readonly TarFile[]): Promise<string> {
  const hashes = await Promise.all(files.map(async ({ name, bytes }) => {
    const hash = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
    return `${name} ${new Uint8Array(hash).toHex()}\n`;
  }));
  const all = new TextEncoder().encode(hashes.join(""));
  const hash = await crypto.subtle.digest("SHA-256", all);
  return new Uint8Array(hash).toHex().slice(0, HASH_DIGITS);
}

async function compress(
  pieces: Iterable<Uint8Array>,
): Promise<Uint8Array[]> {
  const stream = ReadableStream.from(pieces)
    .pipeThrough(new CompressionStream("gzip") as TransformStream);
  return await Array.fromAsync<Uint8Array>(stream);
}

/**
 * Fills the gaps of the script, and says in it where the archive begins, counted
 * from 1, as `tail` counts.
 */
function renderHead(
  template: string,
  values: Readonly<Record<string, string>>,
): Uint8Array {
  const filled = template.replaceAll(
    /@([A-Z]+)@/g,
    (gap, name) => values[name] ?? gap,
  );
  // The number takes as much room as its gap.
  const length = new TextEncoder().encode(filled).length;
  const gap = "@OFFSET@";
  return new TextEncoder().encode(
    filled.replace(gap, String(length + 1).padEnd(gap.length)),
  );
}
