/**
 * The keyring file: encryption keys that outlast the agent.
 *
 * A JSON list of keys in base64, the primary first. It must be there when the
 * agent starts, with a key at least; it is written after each change of the keys
 * at this node, readable by its owner alone. Whether a key is of a good size, the
 * keyring says.
 *
 * Source: serf `agent.go` (loadKeyringFile) and `serf.go` (writeKeyringFile),
 * with Go's words for what went wrong.
 */

import { decodeBase64 } from "../kit/base64.ts";
import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import { type JsonRead, jsonTypeName, readJson } from "../kit/json_reader.ts";
import { renderJson } from "../kit/json_writer.ts";
import { replaceFile } from "../net/atomic_file.ts";
import { fileErrorText } from "../net/system_error.ts";

/** A keyring file that is of no use. The message is what the agent prints. */
export class KeyringFileError extends Error {
  override name = "KeyringFileError";
}

const MODE = 0o600;
/** A file of this size is something else: each key is tried on each packet. */
const FILE_BYTES_MAX = 65_536;

/**
 * The keys in a file, the primary first; at least one.
 *
 * @throws {KeyringFileError} when there is no such file, or no key in it
 */
export async function readKeyringFile(path: string): Promise<Uint8Array[]> {
  let size: number;
  try {
    ({ size } = await Deno.stat(path));
  } catch (cause) {
    throw new KeyringFileError(fileErrorText("stat", path, cause), { cause });
  }
  if (size > FILE_BYTES_MAX) {
    throw new KeyringFileError(
      `Failed to read keyring file: ${path} has ${size} bytes, at most ${FILE_BYTES_MAX} are read`,
    );
  }
  return decodeKeyringFile(await contentsOf(path));
}

/**
 * Replaces the file as a whole, or makes it.
 *
 * Two calls for one file must not overlap.
 *
 * @param keys the primary first
 * @throws {KeyringFileError} without the words in front that Serf gives it; the
 * old file is untouched then
 */
export async function writeKeyringFile(
  path: string,
  keys: readonly Uint8Array[],
): Promise<void> {
  const contents = encodeKeyringFile(keys);
  if (contents.length > FILE_BYTES_MAX) {
    // The agent could not be started with it again.
    throw new KeyringFileError(
      `${keys.length} keys take more than ${FILE_BYTES_MAX} bytes`,
    );
  }
  try {
    await replaceFile(path, contents, { mode: MODE });
  } catch (cause) {
    throw new KeyringFileError(fileErrorText("open", path, cause), { cause });
  }
}

/**
 * What somebody else has done to the file since we wrote it; `undefined` when it
 * still says the same. Never fails.
 *
 * @param keys those that it had
 */
export async function keyringFileChange(
  path: string,
  keys: readonly Uint8Array[],
): Promise<string | undefined> {
  try {
    const found = await readKeyringFile(path);
    return keyText(found) === keyText(keys)
      ? undefined
      : `${path} was changed by somebody else`;
  } catch (error) {
    const { cause, message } = error as Error;
    return cause instanceof Deno.errors.NotFound
      ? `${path} was deleted`
      : `${path} was changed by somebody else: ${message}`;
  }
}

/** A key that stands there twice is one key. */
function keyText(keys: readonly Uint8Array[]): string {
  return [...new Set(keys.map((key) => key.toBase64()))].join();
}

/** Contents of a file with these keys. */
export function encodeKeyringFile(keys: readonly Uint8Array[]): Uint8Array {
  return utf8Bytes(renderJson(keys.map((key) => key.toBase64())));
}

/**
 * The keys in the contents of a file; at least one, of any lengths.
 *
 * @throws {KeyringFileError} when there are none
 */
export function decodeKeyringFile(contents: Uint8Array): Uint8Array[] {
  let keys: Uint8Array[];
  const texts = textsIn(contents);
  try {
    keys = texts.map(decodeBase64);
  } catch (cause) {
    throw wrapped("Failed to decode key from keyring", cause);
  }
  if (keys.length === 0) {
    throw new KeyringFileError("Keyring file contains no keys");
  }
  return keys;
}

/** Like Go, takes nil for an empty list, and inside of one for an empty text. */
function textsIn(contents: Uint8Array): string[] {
  let root: JsonRead;
  try {
    root = readJson(utf8Text(contents));
  } catch (cause) {
    throw wrapped("Failed to decode keyring file", cause);
  }
  if (root === null) return [];
  if (!Array.isArray(root)) throw wrongType(root, "[]string");
  return root.map((item: JsonRead) => {
    if (item === null) return "";
    if (typeof item !== "string") throw wrongType(item, "string");
    return item;
  });
}

function wrongType(value: JsonRead, type: string): KeyringFileError {
  const what = jsonTypeName(value);
  return new KeyringFileError(
    `Failed to decode keyring file: json: cannot unmarshal ${what} into Go value of type ${type}`,
  );
}

function wrapped(what: string, cause: unknown): KeyringFileError {
  return new KeyringFileError(`${what}: ${(cause as Error).message}`, {
    cause,
  });
}

async function contentsOf(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    const action = cause instanceof Deno.errors.IsADirectory ? "read" : "open";
    throw new KeyringFileError(
      `Failed to read keyring file: ${fileErrorText(action, path, cause)}`,
      { cause },
    );
  }
}
