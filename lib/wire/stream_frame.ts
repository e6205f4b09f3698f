/**
 * A stream's layers, put on and taken off.
 *
 * From the inside out: a message (`stream_body.ts`); compress, always when it is
 * on; a sealed frame, when keys are installed; the label header, from the side
 * that dialed. Only the sealed frame says how long it is. Everything else ends
 * where its msgpack ends, and the sender keeps the connection open for the
 * answer, so a reader must know the end without waiting for it.
 *
 * A reader goes through these phases, and skips those that it has no use for:
 *
 *     label --> first --+--> frame -------> (opened)--+--> done
 *     (accepting only)  +--> compressed --> (opened)--+
 *                       +--> body --------------------+
 *
 * What a frame or a compress message held is complete, so the phases behind the
 * parentheses take no input. A layer may occur once, in this order.
 *
 * A refusal says whether the peer is owed an error message: it is when an outer
 * layer was refused by the accepting side, and never because of what was inside.
 *
 * Source: memberlist `net.go`, `handleConn`, `readStream`, `decryptRemoteState`.
 */

import { assert } from "../kit/assert.ts";
import {
  concatBytes,
  EMPTY_BYTES,
  equalBytes,
  utf8Bytes,
} from "../kit/bytes.ts";
import {
  type CodecConfig,
  encryptionVersion,
  isEncrypting,
} from "./codec_config.ts";
import { compress, decompress } from "./compress.ts";
import { addLabel, peelLabel, quoteLabel } from "./label.ts";
import { MessageType, type StreamMessage } from "./messages.ts";
import { MsgpackScanner } from "./msgpack_scanner.ts";
import { sealedLength } from "./seal_size.ts";
import {
  BODY_BYTES_MAX,
  BodyScanner,
  decodeStreamBody,
  isStreamType,
  STREAM_BYTES_MAX,
} from "./stream_body.ts";
import { WireError, type WireErrorCode } from "./wire_error.ts";

export { encodeStreamMessage } from "./stream_body.ts";

/** Who opened the connection: the other side, or we. */
export type StreamRole = "accepting" | "dialing";

/** Type byte and length of a sealed frame. */
const FRAME_HEADER_BYTES = 5;
/** A compress message may be this much longer than the buffer in it. */
const COMPRESS_SLACK_BYTES = 1_024;

/** A stream that is refused. Its `detail` is what memberlist's log says. */
export class StreamError extends WireError {
  override name = "StreamError";
  constructor(
    code: WireErrorCode,
    detail: string,
    /** Whether the peer is owed an error message. */
    readonly answer: boolean,
    /** The text of that error message. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(code, detail, options);
  }
}

/**
 * Puts the layers on.
 *
 * @param body a message as `encodeStreamMessage` made it
 */
export function sealStream(
  body: Uint8Array,
  config: CodecConfig,
  role: StreamRole,
): Uint8Array {
  const label = utf8Bytes(config.label);
  let bytes = config.compression ? compress(body) : body;
  const { keyring, verifyOutgoing } = config;
  if (keyring !== undefined && keyring.size > 0 && verifyOutgoing) {
    const version = encryptionVersion(config);
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    header[0] = MessageType.encrypt;
    new DataView(header.buffer).setUint32(
      1,
      sealedLength(version, bytes.length),
    );
    const associated = concatBytes([header, label]);
    const nonce = config.nextNonce();
    bytes = concatBytes([
      header,
      keyring.seal(bytes, { version, nonce, associated }),
    ]);
  }
  return role === "dialing" ? addLabel(label, bytes) : bytes;
}

type Phase =
  | { readonly kind: "label" }
  | { readonly kind: "first" }
  | { readonly kind: "frame" }
  | { readonly kind: "compressed"; readonly scanner: MsgpackScanner }
  | { readonly kind: "body"; readonly scanner: BodyScanner }
  | { readonly kind: "done" };

/** Reads the one message that arrives on a stream. */
export class StreamReader {
  readonly #config: CodecConfig;
  readonly #role: StreamRole;
  readonly #label: Uint8Array;
  readonly #held = new HeldBytes();
  #phase: Phase;

  constructor(config: CodecConfig, role: StreamRole) {
    this.#config = config;
    this.#role = role;
    this.#label = utf8Bytes(config.label);
    this.#phase = { kind: role === "accepting" ? "label" : "first" };
  }

  /**
   * Takes in what has arrived.
   *
   * Byte fields of the message may be views into `bytes`; whoever keeps one
   * copies it. What follows the message is ignored, now and in later calls.
   *
   * @returns the message once it is complete, `undefined` before and afterwards
   * @throws {StreamError} when the stream is refused; do not push to it again
   */
  push(bytes: Uint8Array): StreamMessage | undefined {
    if (this.#phase.kind === "done") return undefined;
    this.#held.add(bytes);
    const message = this.#advance();
    if (message === undefined) this.#held.keep();
    return message;
  }

  /**
   * Takes in that nothing more will arrive.
   *
   * Nothing happens when the message was complete, and when an accepted stream
   * ended before or within the outer layers, which memberlist passes over in
   * silence.
   *
   * @throws {StreamError} when that leaves something to be logged
   */
  end(): void {
    const held = this.#held.bytes;
    switch (this.#phase.kind) {
      case "done":
        return;
      case "label":
        return this.#endInLabel(held);
      case "body":
        throw this.#bodyError(
          held[0] as number,
          new WireError(
            "truncated",
            this.#phase.scanner.endOfInput(held.length),
          ),
        );
      default:
        if (this.#role === "dialing") {
          throw new StreamError("truncated", "EOF", false, "EOF");
        }
    }
  }

  #endInLabel(held: Uint8Array): void {
    if (held.length > 0) {
      throw labelUnreadable("cannot decode label; stream has been truncated");
    }
    if (this.#label.length > 0) throw labelUnacceptable(EMPTY_BYTES);
  }

  #advance(): StreamMessage | undefined {
    while (true) {
      const phase = this.#phase;
      switch (phase.kind) {
        case "label":
          if (!this.#readLabel()) return undefined;
          break;
        case "first":
          if (!this.#readFirstByte()) return undefined;
          break;
        case "frame":
          return this.#readFrame();
        case "compressed":
          return this.#readCompressed(phase.scanner);
        case "body":
          return this.#readBody(phase.scanner);
        case "done":
          return undefined;
      }
    }
  }

  /** Whether the label was there in full. */
  #readLabel(): boolean {
    let labelled;
    try {
      labelled = peelLabel(this.#held.bytes);
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw labelUnreadable(cause.detail);
    }
    if (labelled === undefined) return false;
    if (!equalBytes(labelled.label, this.#label)) {
      throw labelUnacceptable(labelled.label);
    }
    this.#held.replace(labelled.rest);
    this.#phase = { kind: "first" };
    return true;
  }

  /** Whether the first byte behind the label was there. */
  #readFirstByte(): boolean {
    const type = this.#held.bytes[0];
    if (type === undefined) return false;
    if (type === MessageType.encrypt) {
      if (!isEncrypting(this.#config)) {
        throw this.#outerError(
          "notConfigured",
          "remote state is encrypted and encryption is not configured",
        );
      }
      this.#phase = { kind: "frame" };
      return true;
    }
    if (isEncrypting(this.#config) && this.#config.verifyIncoming) {
      throw this.#outerError(
        "notEncrypted",
        "encryption is configured but remote state is not encrypted",
      );
    }
    if (type === MessageType.compress) {
      const scanner = new MsgpackScanner({
        bytesMax: STREAM_BYTES_MAX + COMPRESS_SLACK_BYTES,
        valuesMax: COMPRESS_SLACK_BYTES,
      });
      scanner.restart(1);
      this.#phase = { kind: "compressed", scanner };
      return true;
    }
    this.#checkType(type);
    this.#phase = { kind: "body", scanner: new BodyScanner() };
    return true;
  }

  #readFrame(): StreamMessage | undefined {
    const held = this.#held.bytes;
    if (held.length < FRAME_HEADER_BYTES) return undefined;
    const length = new DataView(held.buffer, held.byteOffset).getUint32(1);
    if (length > STREAM_BYTES_MAX) {
      throw this.#outerError(
        "oversized",
        `remote node state is larger than limit (${length})`,
      );
    }
    const end = FRAME_HEADER_BYTES + length;
    if (held.length < end) return undefined;
    return this.#outer(() => {
      const header = held.subarray(0, FRAME_HEADER_BYTES);
      const { keyring } = this.#config;
      assert(keyring !== undefined, "a sealed frame is read with a keyring");
      const content = keyring.open(
        held.subarray(FRAME_HEADER_BYTES, end),
        concatBytes([header, this.#label]),
      );
      if (content.length === 0) {
        throw new WireError("empty", "missing message type byte");
      }
      return content[0] === MessageType.compress
        ? decompressBody(content)
        : content;
    });
  }

  #readCompressed(scanner: MsgpackScanner): StreamMessage | undefined {
    const held = this.#held.bytes;
    return this.#outer(() => {
      const end = scanner.scan(held, held.length);
      return end === undefined
        ? undefined
        : decompressBody(held.subarray(0, end));
    });
  }

  /** Opens an outer layer; what was in it is the whole body. */
  #outer(openLayer: () => Uint8Array | undefined): StreamMessage | undefined {
    let body: Uint8Array | undefined;
    try {
      body = openLayer();
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw this.#outerError(cause.code, cause.detail, cause);
    }
    if (body === undefined) return undefined;
    const type = body[0] as number;
    this.#checkType(type);
    const scanner = new BodyScanner();
    return this.#inner(type, () => {
      const end = scanner.scan(body, body.length);
      if (end === undefined) {
        throw new WireError("truncated", scanner.endOfInput(body.length));
      }
      return this.#finish(decodeStreamBody(body.subarray(0, end)));
    });
  }

  #readBody(scanner: BodyScanner): StreamMessage | undefined {
    const held = this.#held.bytes;
    return this.#inner(held[0] as number, () => {
      const end = scanner.scan(held, held.length);
      if (end !== undefined) {
        return this.#finish(decodeStreamBody(held.subarray(0, end)));
      }
      if (held.length >= BODY_BYTES_MAX) {
        throw new WireError(
          "oversized",
          `remote node state is larger than limit (${held.length})`,
        );
      }
      return undefined;
    });
  }

  #inner<T>(type: number, decode: () => T): T {
    try {
      return decode();
    } catch (cause) {
      if (!(cause instanceof WireError)) throw cause;
      throw this.#bodyError(type, cause);
    }
  }

  #finish(message: StreamMessage): StreamMessage {
    this.#phase = { kind: "done" };
    this.#held.replace(EMPTY_BYTES);
    return message;
  }

  /** Refuses what has no body, and what only an accepting node sends. */
  #checkType(type: number): void {
    const isReply = type === MessageType.ack || type === MessageType.error;
    if (isStreamType(type) && !(isReply && this.#role === "accepting")) return;
    const received = this.#role === "accepting" ? "Received" : "received";
    const detail = `${received} invalid msgType (${type})`;
    throw new StreamError("badType", detail, false, detail);
  }

  #outerError(
    code: WireErrorCode,
    reason: string,
    cause?: unknown,
  ): StreamError {
    const isAccepting = this.#role === "accepting";
    const detail = isAccepting ? `failed to receive: ${reason}` : reason;
    return new StreamError(code, detail, isAccepting, reason, { cause });
  }

  #bodyError(type: number, cause: WireError): StreamError {
    const detail = this.#role === "accepting"
      ? `${failureOf(type)}: ${cause.detail}`
      : cause.detail;
    return new StreamError(cause.code, detail, false, cause.detail, { cause });
  }
}

function decompressBody(message: Uint8Array): Uint8Array {
  const body = decompress(message, BODY_BYTES_MAX);
  if (body.length === 0) {
    throw new WireError("empty", "decompressed message is empty");
  }
  return body;
}

function labelUnreadable(reason: string): StreamError {
  return new StreamError(
    "badLabel",
    `failed to receive and remove the stream label header: ${reason}`,
    false,
    reason,
  );
}

function labelUnacceptable(label: Uint8Array): StreamError {
  const detail = `discarding stream with unacceptable label ${
    quoteLabel(label)
  }:`;
  return new StreamError("badLabel", detail, false, detail);
}

/** How memberlist's log begins when a body of that type is broken. */
function failureOf(type: number): string {
  switch (type) {
    case MessageType.pushPull:
      return "Failed to read remote state";
    case MessageType.user:
      return "Failed to receive user message";
    default:
      return "Failed to decode ping";
  }
}

/**
 * Bytes that have arrived and are still needed. They are copied only when a
 * message comes in several pieces, and room grows with what has arrived.
 */
class HeldBytes {
  bytes: Uint8Array = EMPTY_BYTES;
  /** Room behind `bytes`; empty while they are somebody else's. */
  #room: Uint8Array = EMPTY_BYTES;

  add(more: Uint8Array): void {
    if (this.bytes.length === 0) {
      this.replace(more);
      return;
    }
    const length = this.bytes.length + more.length;
    if (length > this.#room.length) {
      this.#move(Math.max(length, 2 * this.#room.length));
    }
    this.#room.set(more, this.bytes.length);
    this.bytes = this.#room.subarray(0, length);
  }

  /** Makes the bytes our own, because the caller may reuse his. */
  keep(): void {
    if (this.#room.length === 0) this.#move(this.bytes.length);
  }

  replace(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.#room = EMPTY_BYTES;
  }

  #move(size: number): void {
    const room = new Uint8Array(size);
    room.set(this.bytes);
    this.#room = room;
    this.bytes = room.subarray(0, this.bytes.length);
  }
}
