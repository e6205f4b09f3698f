/**
 * A packet's layers, put on and taken off: the only place that knows their order.
 *
 * From the inside out: a message, or a compound of messages; compress, when that
 * makes it shorter; checksum, when the receiver is known to understand it;
 * sealing, when keys are installed; the label header. Receiving goes the other
 * way. A checksum is looked for once, right under the sealing; compound and
 * compress may be nested, within limits that no genuine sender comes near.
 *
 * Source: memberlist `net.go`, `rawSendMsgPacket` and `ingestPacket`.
 */

import { equalBytes, utf8Bytes } from "../kit/bytes.ts";
import {
  type CodecConfig,
  encryptionVersion,
  isEncrypting,
} from "./codec_config.ts";
import {
  COMPOUND_HEADER_BYTES,
  type CompoundParts,
  decodeCompound,
} from "./compound.ts";
import { compressIfShorter, decompress } from "./compress.ts";
import { crc32 } from "./crc32.ts";
import {
  addLabel,
  labelOverheadBytes,
  peelLabel,
  quoteLabel,
} from "./label.ts";
import { MessageType } from "./messages.ts";
import { sealOverheadBytes } from "./seal_size.ts";
import { WireError } from "./wire_error.ts";

export type { CodecConfig } from "./codec_config.ts";

/** Largest packet once decompressed, bytes: no datagram is larger. */
export const PACKET_BYTES_MAX = 65_536;
/** How often a packet may be compressed over; genuine ones are once. */
const COMPRESS_LEVELS_MAX = 2;
/** How deep compounds may stand in compounds; genuine ones do not. */
const COMPOUND_LEVELS_MAX = 4;
/** Bytes that all compressed layers of one packet may come to. */
const DECOMPRESSED_BYTES_MAX = 2 * PACKET_BYTES_MAX;
/** Messages and refusals of one packet; a genuine one has at most 255. */
const PARTS_MAX = 1_024;

const CRC_HEADER_BYTES = 5;

/** A packet with its layers off. */
export interface OpenedPacket {
  /** One message each, in order, never empty; views into the packet where possible. */
  readonly parts: readonly Uint8Array[];
  /** What was dropped on the way: parts cut short, inner layers that do not open. */
  readonly errors: readonly WireError[];
}

/** Wraps and unwraps the packets of one node. */
export class PacketCodec {
  readonly #config: CodecConfig;
  readonly #label: Uint8Array;

  constructor(config: CodecConfig) {
    this.#config = config;
    this.#label = utf8Bytes(config.label);
  }

  /**
   * Puts the layers on.
   *
   * @param message a message or compound, type byte included, not empty
   * @param options.crc whether the receiver is known to speak protocol 5 or later
   */
  seal(message: Uint8Array, options: { crc: boolean }): Uint8Array {
    let packet = message;
    if (this.#config.compression) packet = compressIfShorter(packet) ?? packet;
    if (options.crc) packet = addCrc(packet);
    const { keyring, verifyOutgoing } = this.#config;
    if (keyring !== undefined && keyring.size > 0 && verifyOutgoing) {
      packet = keyring.seal(packet, {
        version: encryptionVersion(this.#config),
        nonce: this.#config.nextNonce(),
        associated: this.#label,
      });
    }
    return addLabel(this.#label, packet);
  }

  /**
   * Takes the layers off.
   *
   * @throws {WireError} when the packet is refused as a whole, worded as
   * memberlist's log has it
   */
  open(packet: Uint8Array): OpenedPacket {
    if (packet.length === 0) {
      throw new WireError(
        "empty",
        `UDP packet too short (${PACKET_BYTES_MAX} bytes)`,
      );
    }
    const sealed = this.#acceptLabel(packet);
    const content = checkCrc(this.#decrypt(sealed));
    const opening = new Opening();
    opening.take(content, 0, 0);
    return opening;
  }

  /**
   * Room for broadcasts beside a message of `messageBytes`, including what a
   * compound adds to each; zero or negative for none.
   */
  piggybackRoomBytes(messageBytes: number, packetBytesMax: number): number {
    const isSealing = isEncrypting(this.#config) && this.#config.verifyOutgoing;
    return packetBytesMax - messageBytes - this.#overheadBytes(isSealing);
  }

  /**
   * Room for broadcasts in a packet of their own. Like memberlist, counts the
   * sealing also when what we send is not sealed.
   */
  gossipRoomBytes(packetBytesMax: number): number {
    return packetBytesMax - this.#overheadBytes(isEncrypting(this.#config));
  }

  #overheadBytes(isSealing: boolean): number {
    const sealing = isSealing
      ? sealOverheadBytes(encryptionVersion(this.#config))
      : 0;
    return COMPOUND_HEADER_BYTES + labelOverheadBytes(this.#label.length) +
      sealing;
  }

  #acceptLabel(packet: Uint8Array): Uint8Array {
    const labelled = peelLabel(packet);
    if (labelled === undefined) {
      throw new WireError(
        "badLabel",
        "cannot decode label; packet has been truncated",
      );
    }
    if (!equalBytes(labelled.label, this.#label)) {
      throw new WireError(
        "badLabel",
        `discarding packet with unacceptable label ${
          quoteLabel(labelled.label)
        }:`,
      );
    }
    return labelled.rest;
  }

  #decrypt(bytes: Uint8Array): Uint8Array {
    const { keyring, verifyIncoming } = this.#config;
    if (keyring === undefined || keyring.size === 0) return bytes;
    try {
      return keyring.open(bytes, this.#label);
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      if (!verifyIncoming) return bytes;
      throw new WireError(
        cause.code,
        `Decrypt packet failed: ${cause.detail}`,
        { cause },
      );
    }
  }
}

function addCrc(message: Uint8Array): Uint8Array {
  const wrapped = new Uint8Array(CRC_HEADER_BYTES + message.length);
  wrapped[0] = MessageType.crc;
  new DataView(wrapped.buffer).setUint32(1, crc32(message));
  wrapped.set(message, CRC_HEADER_BYTES);
  return wrapped;
}

/** Takes off the checksum if there is one; a shorter packet cannot have one. */
function checkCrc(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== MessageType.crc || bytes.length < CRC_HEADER_BYTES) {
    return bytes;
  }
  const message = bytes.subarray(CRC_HEADER_BYTES);
  const received = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const computed = crc32(message);
  if (computed !== received) {
    throw new WireError(
      "badChecksum",
      `Got invalid checksum for UDP packet: ${computed.toString(16)}, ${
        received.toString(16)
      }`,
    );
  }
  return message;
}

/** Compound and compress, taken apart down to single messages. */
class Opening implements OpenedPacket {
  readonly parts: Uint8Array[] = [];
  readonly errors: WireError[] = [];
  #bytesLeft = DECOMPRESSED_BYTES_MAX;
  #isFull = false;

  take(
    message: Uint8Array,
    compressLevel: number,
    compoundLevel: number,
  ): void {
    if (this.#isFull) return;
    if (this.parts.length + this.errors.length === PARTS_MAX) {
      this.#isFull = true;
      this.#refuse("oversized", `packet holds more than ${PARTS_MAX} messages`);
      return;
    }
    switch (message[0]) {
      case undefined:
        this.#refuse("empty", "missing message type byte");
        return;
      case MessageType.compress:
        this.#takeCompressed(message, compressLevel, compoundLevel);
        return;
      case MessageType.compound:
        this.#takeCompound(message, compressLevel, compoundLevel);
        return;
      default:
        this.parts.push(message);
    }
  }

  #takeCompressed(
    message: Uint8Array,
    compressLevel: number,
    compoundLevel: number,
  ): void {
    if (compressLevel === COMPRESS_LEVELS_MAX) {
      this.#refuse(
        "oversized",
        "Failed to decompress payload: nested too deeply",
      );
      return;
    }
    const lengthMax = Math.min(PACKET_BYTES_MAX, this.#bytesLeft);
    let inner: Uint8Array;
    try {
      inner = decompress(message, lengthMax);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse(error.code, `Failed to decompress payload: ${error.detail}`);
      // How far it got is unknown, so it is charged in full.
      this.#bytesLeft -= lengthMax;
      return;
    }
    this.#bytesLeft -= inner.length;
    this.take(inner, compressLevel + 1, compoundLevel);
  }

  #takeCompound(
    message: Uint8Array,
    compressLevel: number,
    compoundLevel: number,
  ): void {
    if (compoundLevel === COMPOUND_LEVELS_MAX) {
      this.#refuse(
        "oversized",
        "Failed to decode compound request: nested too deeply",
      );
      return;
    }
    let compound: CompoundParts;
    try {
      compound = decodeCompound(message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse(
        error.code,
        `Failed to decode compound request: ${error.detail}`,
      );
      return;
    }
    const { parts, truncated } = compound;
    if (truncated > 0) {
      this.#refuse(
        "truncated",
        `Compound request had ${truncated} truncated messages`,
      );
    }
    for (const part of parts) this.take(part, compressLevel, compoundLevel + 1);
  }

  #refuse(code: WireError["code"], detail: string): void {
    this.errors.push(new WireError(code, detail));
  }
}
