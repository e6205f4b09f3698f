/**
 * The text of a file with settings, which must be UTF-8.
 *
 * Go's decoder puts U+FFFD in the place of other bytes, so that a node or a tag
 * silently gets another name than the file has. As on the command line, what
 * cannot be carried faithfully is refused.
 */

import { JsonSyntaxError } from "../kit/json_reader.ts";
import { decodeText } from "../wire/text.ts";

/** @throws {JsonSyntaxError} with the place of the first byte that is not UTF-8 */
export function fileText(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text !== undefined) return text;
  const lines = wholeBeginning(bytes).split("\n");
  const column = (lines.at(-1) as string).length + 1;
  throw new JsonSyntaxError("text that is not UTF-8", lines.length, column);
}

/** The characters before the first byte that belongs to none. */
function wholeBeginning(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  try {
    for (let at = 0; at < bytes.length; at++) {
      text += decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    }
  } catch {
    // Here it is.
  }
  return text;
}
