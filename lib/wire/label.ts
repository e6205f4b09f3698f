/**
 * The label header: keeps apart clusters that share a network.
 *
 * It is in front of everything else: the byte f4, a length from 1 to 255, the
 * label. Without a label there is no header. The label is no secret, but it is
 * authenticated along with sealed bytes.
 *
 * Source: memberlist `label.go`.
 */

import { concatBytes, EMPTY_BYTES, utf8Text } from "../kit/bytes.ts";
import { quoteText } from "../kit/quote.ts";
import { MessageType } from "./messages.ts";
import { WireError } from "./wire_error.ts";

/** Longest label, bytes of UTF-8. */
export const LABEL_BYTES_MAX = 255;
const HEADER_BYTES = 2;

/** How much a label of that many bytes adds. */
export function labelOverheadBytes(labelBytes: number): number {
  return labelBytes === 0 ? 0 : HEADER_BYTES + labelBytes;
}

/** The bytes with the header of the label in front, if there is a label. */
export function addLabel(label: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (label.length === 0) return bytes;
  return concatBytes([
    Uint8Array.of(MessageType.label, label.length),
    label,
    bytes,
  ]);
}

/** A label and what follows its header. */
export interface Labelled {
  /** Empty when there was no header. */
  readonly label: Uint8Array;
  readonly rest: Uint8Array;
}

/**
 * Takes the header off the front of `bytes`.
 *
 * @returns `undefined` when more bytes are needed to tell
 * @throws {WireError} when the header holds an empty label
 */
export function peelLabel(bytes: Uint8Array): Labelled | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] !== MessageType.label) {
    return { label: EMPTY_BYTES, rest: bytes };
  }
  const length = bytes[1];
  if (length === undefined) return undefined;
  if (length === 0) {
    throw new WireError(
      "badLabel",
      "label header cannot be empty when present",
    );
  }
  const end = HEADER_BYTES + length;
  if (bytes.length < end) return undefined;
  return {
    label: bytes.subarray(HEADER_BYTES, end),
    rest: bytes.subarray(end),
  };
}

/** The label in quotes, for log lines. */
export function quoteLabel(label: Uint8Array): string {
  return quoteText(utf8Text(label));
}
