/**
 * The tags file: tags that outlast the agent.
 *
 * One JSON object of texts. It is read at the start, where no tags may come from
 * elsewhere, and again before each change, since somebody may have edited it; and
 * written before each change is announced. A file that is not there yet is made at
 * the first change, readable by nobody else; one that is there keeps its
 * permissions.
 *
 * Source: serf `agent.go` (loadTagsFile, writeTagsFile).
 */

import { utf8Bytes } from "../kit/bytes.ts";
import {
  isMap,
  type JsonRead,
  jsonTypeName,
  readJson,
} from "../kit/json_reader.ts";
import { renderJson } from "../kit/json_writer.ts";
import { replaceFile } from "../net/atomic_file.ts";
import { fileErrorText } from "../net/system_error.ts";
import { fileText } from "./file_text.ts";

/** Permissions of a new file: tags may say what not everybody should know. */
const NEW_FILE_MODE = 0o600;
const PERMISSION_BITS = 0o777;
/** Tags have 512 bytes at most; a file of this size is something else. */
const FILE_BYTES_MAX = 1_048_576;

/**
 * With a tags file there are no tags from settings: neither could tell which of
 * the two is to win.
 *
 * @throws {Error} when there are some
 */
export function refuseOtherTags(tags: ReadonlyMap<string, string>): void {
  if (tags.size === 0) return;
  throw new Error("Tags config not allowed while using tag files");
}

/**
 * The tags in a file, `undefined` when there is no file.
 *
 * @throws {Error} `Failed to read tags file: ...`, `Failed to decode tags file: ...`
 */
export async function readTagsFile(
  path: string,
): Promise<Map<string, string> | undefined> {
  let bytes: Uint8Array;
  try {
    const { size, isFile, isDirectory } = await Deno.stat(path);
    // A pipe would be waited for, and a change of the tags with it.
    if (!isFile && !isDirectory) {
      throw new Error(`open ${path}: not a regular file`);
    }
    if (size > FILE_BYTES_MAX) {
      throw new RangeError(
        `${path} has ${size} bytes, at most ${FILE_BYTES_MAX} are read`,
      );
    }
    bytes = await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw new Error(
      `Failed to read tags file: ${fileErrorText("open", path, cause)}`,
      {
        cause,
      },
    );
  }
  try {
    return decodeTagsFile(fileText(bytes));
  } catch (cause) {
    throw new Error(
      `Failed to decode tags file: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/**
 * Replaces the file as a whole, or makes it.
 *
 * @throws {Error} `Failed to write tags file: ...`; the old file is untouched then
 */
export async function writeTagsFile(
  path: string,
  tags: ReadonlyMap<string, string>,
): Promise<void> {
  try {
    const mode = await modeOf(path) ?? NEW_FILE_MODE;
    await replaceFile(path, utf8Bytes(renderJson(tags)), { mode });
  } catch (cause) {
    throw new Error(
      `Failed to write tags file: ${fileErrorText("open", path, cause)}`,
      {
        cause,
      },
    );
  }
}

/**
 * The tags that a file's text stands for; nothing for `null`.
 *
 * @throws {SyntaxError | TypeError} in Go's words
 */
export function decodeTagsFile(text: string): Map<string, string> {
  const root = readJson(text);
  const tags = new Map<string, string>();
  if (root === null) return tags;
  if (!isMap(root)) throw wrongType(root, "map[string]string");
  for (const [name, value] of root) {
    if (typeof value !== "string" && value !== null) {
      throw wrongType(value, "string");
    }
    tags.set(name, value ?? "");
  }
  return tags;
}

function wrongType(value: JsonRead, type: string): TypeError {
  return new TypeError(
    `json: cannot unmarshal ${
      jsonTypeName(value)
    } into Go value of type ${type}`,
  );
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    const { mode } = await Deno.stat(path);
    return mode === null ? undefined : mode & PERMISSION_BITS;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
