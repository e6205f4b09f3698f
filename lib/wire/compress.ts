/**
 * The compress message: a struct that names an algorithm and holds the
 * compressed message. LZW is the only algorithm there is.
 *
 * Source: memberlist `util.go`, `compressPayload` and `decompressPayload`.
 */

import { lzwDecode, lzwEncode } from "./lzw.ts";
import { MessageType } from "./messages.ts";
import { Struct } from "./msgpack.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { WireError } from "./wire_error.ts";

/** The number of LZW in the `Algo` field. */
const LZW = 0;
const LAYOUT = ["Algo", "Buf"];
const writer = new MsgpackWriter();

/** What a compress message has around a buffer of under 65,536 bytes, at least. */
const OVERHEAD_BYTES_MIN = 1 + 1 + 5 + 1 + 4 + 1;

/** The message compressed, whatever its length turns out to be. */
export function compress(message: Uint8Array): Uint8Array {
  return compressMessage(lzwEncode(message) as Uint8Array);
}

/** The message compressed; `undefined` when that does not make it shorter. */
export function compressIfShorter(message: Uint8Array): Uint8Array | undefined {
  const buffer = lzwEncode(message, message.length - OVERHEAD_BYTES_MIN - 1);
  if (buffer === undefined) return undefined;
  const compressed = compressMessage(buffer);
  return compressed.length < message.length ? compressed : undefined;
}

function compressMessage(buffer: Uint8Array): Uint8Array {
  return writer.begin().byte(MessageType.compress).map(2)
    .text("Algo").uint(LZW)
    .text("Buf").bytes(buffer)
    .finish();
}

/**
 * Opens a compress message, type byte included.
 *
 * @param lengthMax most bytes of output
 * @returns the message in it, which may be empty
 * @throws {WireError} with memberlist's texts
 */
export function decompress(message: Uint8Array, lengthMax: number): Uint8Array {
  const struct = Struct.decode(message, LAYOUT, 1);
  const algorithm = struct.uint("Algo", 255);
  if (algorithm !== LZW) {
    throw new WireError(
      "badCompression",
      `cannot decompress unknown algorithm ${algorithm}`,
    );
  }
  return lzwDecode(struct.bytes("Buf"), lengthMax);
}
