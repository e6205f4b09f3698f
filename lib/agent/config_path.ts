/**
 * Configuration files on the disk.
 *
 * A path names a file, or a directory whose entries ending in `.json` are read
 * in the order of their names' bytes; directories in it are passed over.
 *
 * To open a named pipe waits until somebody writes to it, which may be never. A
 * file that is named may be a pipe when the agent starts, as `<(command)` is in a
 * shell; what lies in a directory, and what is read again, must be a regular file.
 *
 * Source: serf `config.go` (ReadConfigPaths).
 */

import { join } from "node:path";
import { fileErrorText } from "../net/system_error.ts";
import { decodeConfigFile, type DecodedConfig } from "./config_file.ts";
import { ConfigError, type SettingsLayer } from "./config_layer.ts";

/** Largest file that is read, bytes; far more than any configuration needs. */
const CONFIG_BYTES_MAX = 1 << 20;

export interface ReadOptions {
  /** The agent runs, and has read the files before. */
  readonly isReload?: boolean;
}

/** What came of one file, or of a path that could not be read. */
export interface ConfigFile extends Pick<DecodedConfig, "isUnreadable"> {
  /** What is right in it, with its path as the origin. */
  readonly layer: SettingsLayer;
  readonly error?: ConfigError;
}

/**
 * Reads all files that the paths name, one after the other.
 *
 * @throws nothing: what is wrong with a file is part of the outcome
 */
export async function* configFiles(
  paths: readonly string[],
  { isReload = false }: ReadOptions = {},
): AsyncGenerator<ConfigFile> {
  for (const path of paths) {
    let names: string[] | undefined;
    try {
      names = await jsonEntries(path);
    } catch (error) {
      yield failure(path, error);
      continue;
    }
    if (names === undefined) {
      yield await readFile(path, { mayBePipe: !isReload });
    }
    for (const name of names ?? []) {
      yield await readFile(join(path, name), { mayBePipe: false });
    }
  }
}

/**
 * The layers of all files.
 *
 * @throws {ConfigError} for the first file that something is wrong with
 */
export async function readConfigPaths(
  paths: readonly string[],
  options: ReadOptions = {},
): Promise<SettingsLayer[]> {
  const layers: SettingsLayer[] = [];
  for await (const { layer, error } of configFiles(paths, options)) {
    if (error !== undefined) throw error;
    layers.push(layer);
  }
  return layers;
}

/** Names of the files in a directory; `undefined` if the path is a file. */
async function jsonEntries(path: string): Promise<string[] | undefined> {
  if (!(await Deno.stat(path)).isDirectory) return undefined;
  const names: string[] = [];
  for await (const entry of Deno.readDir(path)) {
    if (!entry.name.endsWith(".json") || entry.isDirectory) continue;
    if (entry.isSymlink && await leadsToDirectory(join(path, entry.name))) {
      continue;
    }
    names.push(entry.name);
  }
  return names.sort(compareBytes);
}

/** A link that leads nowhere is not a directory, and complained about later. */
async function leadsToDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

async function readFile(
  path: string,
  { mayBePipe }: { readonly mayBePipe: boolean },
): Promise<ConfigFile> {
  let bytes: Uint8Array;
  try {
    if (!mayBePipe && !(await Deno.stat(path)).isFile) {
      throw new Error("not a regular file");
    }
    bytes = await readBytes(path);
  } catch (error) {
    return failure(path, error);
  }
  const { layer, problem, isUnreadable } = decodeConfigFile(bytes);
  return {
    layer: { ...layer, origin: path },
    isUnreadable,
    ...(problem !== undefined && {
      error: new ConfigError(`Error decoding '${path}': ${problem}`),
    }),
  };
}

/** @throws {RangeError} when the file is too long */
async function readBytes(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  // One byte more, to see that there is more; a path may be a pipe as well.
  const buffer = new Uint8Array(CONFIG_BYTES_MAX + 1);
  let length = 0;
  while (length < buffer.length) {
    const count = await file.read(buffer.subarray(length));
    if (count === null) return buffer.subarray(0, length);
    length += count;
  }
  throw new RangeError(`longer than ${CONFIG_BYTES_MAX} bytes`);
}

function failure(path: string, error: unknown): ConfigFile {
  const reason = fileErrorText("open", path, error);
  return {
    layer: { origin: path },
    isUnreadable: true,
    error: new ConfigError(`Error reading '${path}': ${reason}`, {
      cause: error,
    }),
  };
}

/** Order of the UTF-8 bytes, which is the order of code points. */
function compareBytes(a: string, b: string): number {
  const [as, bs] = [[...a], [...b]];
  for (let i = 0; i < Math.min(as.length, bs.length); i++) {
    const difference = (as[i]?.codePointAt(0) ?? 0) -
      (bs[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return as.length - bs.length;
}
