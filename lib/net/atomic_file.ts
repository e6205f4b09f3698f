/**
 * Replacing a file as a whole, so that whoever reads it, also after a crash at
 * any moment, finds the old contents or the new ones and nothing between.
 *
 * The new contents go to a file beside the old one, are written through to the
 * disk, and then take the old one's name. A leftover of an earlier crash is
 * overwritten; nobody ever reads it. What a symbolic link points to is replaced,
 * not the link.
 */

import { dirname } from "node:path";

/** What is appended to the name of a file while its successor is written. */
export const SUCCESSOR_SUFFIX = ".new";

export interface ReplaceOptions {
  /** Permissions of the new file, before the process's mask. */
  readonly mode: number;
  /** Where the successor is written; in the same folder. */
  readonly successor?: string;
}

/**
 * Replaces a file, or makes it.
 *
 * Two calls for one file must not overlap.
 *
 * @throws {Error} that of the system; the old file is untouched then
 */
export async function replaceFile(
  path: string,
  contents: Uint8Array,
  options: ReplaceOptions,
): Promise<void> {
  const target = await targetOf(path);
  const successor = options.successor ?? target + SUCCESSOR_SUFFIX;
  try {
    await writeThrough(successor, contents, options.mode);
    await Deno.rename(successor, target);
  } catch (error) {
    await removeIfThere(successor);
    throw error;
  }
  await syncFolder(dirname(target));
}

/** Where a path leads in the end; itself when nothing is there yet. */
async function targetOf(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path;
    throw error;
  }
}

async function writeThrough(
  path: string,
  contents: Uint8Array,
  mode: number,
): Promise<void> {
  // Not truncated: a leftover may have other permissions, or be a link.
  await removeIfThere(path);
  using file = await Deno.open(path, { write: true, createNew: true, mode });
  for (let rest = contents; rest.length > 0;) {
    rest = rest.subarray(await file.write(rest));
  }
  await file.sync();
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Makes the new name last. Not every system lets one; the contents are safe. */
async function syncFolder(path: string): Promise<void> {
  try {
    using folder = await Deno.open(path);
    await folder.sync();
  } catch {
    // Windows opens no folders.
  }
}
