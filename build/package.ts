/**
 * The archive of a release for one system: the executable, the pages, and what it
 * takes to run it as a service. The same files give the same bytes.
 *
 * Tar is written by `tar.ts`, not by the program of that name, which cannot be told
 * on all systems to forget owners, times and order; zip, with its tables of offsets
 * and checksums, is a package's.
 */

import { type Zippable, zipSync } from "fflate";
import { join } from "node:path";
import { documents } from "./documents.ts";
import { tar, type TarFile } from "./tar.ts";

const ROOT = join(import.meta.dirname ?? "", "..");
/** What goes along as it is; of directories, all that is in them. */
const ALONG = [
  ...["CHANGELOG.md", "COMPATIBILITY.md", "LICENSE", "README.md"],
  ...["RELIABILITY.md", "SECURITY.md"],
  ...["docs", "packaging"],
];
/** It builds from the source, which is not in the archive. */
const NOT_ALONG = "packaging/docker/";
/** Of the time in a zip file, which has no zone: the beginning of 2000. */
const MODIFIED = new Date(2000, 0, 1);

export interface Archive {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What all archives of a release have in common. */
export interface Release {
  readonly version: string;
  /** Whose work is in the executable; see `notices.ts`. */
  readonly notices: string;
}

/**
 * Packs for one system.
 *
 * @param target a key of `TARGETS`
 */
export async function packRelease(
  target: string,
  executable: Uint8Array,
  { version, notices }: Release,
): Promise<Archive> {
  const isWindows = target.startsWith("windows");
  const folder = `serf_${version}_${target.replace("-", "_")}`;
  const files = [
    {
      name: isWindows ? "serf.exe" : "serf",
      bytes: executable,
      isExecutable: true,
    },
    ...ALONG.flatMap(filesAt),
    ...[["NOTICES.txt", notices] as const, ...await documents()].map((
      [name, text],
    ) => ({
      name,
      bytes: new TextEncoder().encode(text),
    })),
  ].map((file) => ({ ...file, name: `${folder}/${file.name}` }))
    .sort((a, b) => a.name < b.name ? -1 : 1);
  return isWindows
    ? { name: `${folder}.zip`, bytes: zip(files) }
    : { name: `${folder}.tar.gz`, bytes: await gzip(tar(files)) };
}

/** The file, or the files below the directory, at a path of the project. */
function filesAt(path: string): TarFile[] {
  if (Deno.statSync(join(ROOT, path)).isDirectory) {
    return [...Deno.readDirSync(join(ROOT, path))]
      .flatMap(({ name }) => filesAt(`${path}/${name}`));
  }
  if (path.startsWith(NOT_ALONG)) return [];
  const bytes = Deno.readFileSync(join(ROOT, path));
  // Not by its mode, which Windows does not keep.
  const isScript = bytes[0] === 0x23 && bytes[1] === 0x21;
  return [{ name: path, bytes, isExecutable: isScript }];
}

async function gzip(
  pieces: Iterable<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = ReadableStream.from(pieces)
    .pipeThrough(new CompressionStream("gzip") as TransformStream);
  return await new Response(stream).bytes();
}

function zip(files: readonly TarFile[]): Uint8Array<ArrayBuffer> {
  const entries: Zippable = {};
  for (const { name, bytes, isExecutable } of files) {
    // Modes as Unix has them, for those who unpack it there.
    const attrs = (isExecutable ? 0o100755 : 0o100644) << 16;
    entries[name] = [bytes, { mtime: MODIFIED, os: 3, attrs }];
  }
  return zipSync(entries);
}
