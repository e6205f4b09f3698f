/**
 * A client's connection to an agent, as a state machine without a socket.
 *
 * ## Theory
 *
 * The client numbers its requests; whatever the agent sends begins with a header
 * that carries such a number, and only the number tells whether a body follows:
 *
 *     header ──of a request that is answered without body──▶ header
 *        │  ──of nothing that we know──▶ header
 *        │
 *        └──of a request with a body, or of an open stream──▶ body ──▶ header
 *
 * A request for a stream is first answered like any other. If the answer is no
 * error, each further header under its number is a record with a body.
 *
 * Headers that nobody waits for are skipped, and so are their bodies, which are
 * then taken for headers without a number. That is not only tolerance: an agent
 * that wants a token refuses a request twice when it has a body.
 *
 * Source: serf, `client/rpc_client.go`; `docs/protocol/rpc.md` 4 and 7.
 */

import {
  decodeValue,
  MsgpackText,
  type MsgpackValue,
} from "../wire/msgpack_value.ts";
import { WireError } from "../wire/wire_error.ts";
import { RESPONSE_LIMITS, RpcErrorText, ValueCutter } from "./protocol.ts";
import { RpcWriter } from "./writer.ts";

/** The body of a record, as it came; see `lib/wire/msgpack_value.ts`. */
export { MsgpackText as RecordText, type MsgpackValue as RecordValue };

/**
 * What follows the header of an answer.
 *
 * - `none`: nothing
 * - `onSuccess`: a body, unless there is an error
 * - `always`: a body, also beside the error of the command itself
 * - `stream`: nothing, and records later on
 */
export type AnswerForm = "none" | "onSuccess" | "always" | "stream";

/** Errors from before a command is looked at; no body ever follows them. */
const ERRORS_WITHOUT_BODY: readonly string[] = [
  RpcErrorText.authRequired,
  RpcErrorText.handshakeRequired,
  RpcErrorText.unsupportedCommand,
];

/** What the agent said. */
export type ClientOutput =
  | {
    readonly kind: "response";
    readonly seq: bigint;
    /** Empty on success. */
    readonly error: string;
    readonly body: MsgpackValue | undefined;
  }
  | {
    readonly kind: "record";
    readonly seq: bigint;
    readonly body: MsgpackValue;
  };

type Reading =
  | { readonly kind: "header" }
  | {
    readonly kind: "responseBody";
    readonly seq: bigint;
    readonly error: string;
  }
  | { readonly kind: "recordBody"; readonly seq: bigint };

export class ClientSession {
  readonly #cutter = new ValueCutter(RESPONSE_LIMITS);
  readonly #waiting = new Map<bigint, AnswerForm>();
  readonly #streams = new Set<bigint>();
  readonly #outputs: ClientOutput[] = [];
  #reading: Reading = { kind: "header" };
  #lastSeq = 0n;

  /**
   * Begins a request.
   *
   * @param body the encoded body, for commands that have one
   * @returns its number, counted from 1, and the bytes to be written at once
   */
  startRequest(
    command: string,
    form: AnswerForm,
    body?: Uint8Array,
  ): { readonly seq: bigint; readonly bytes: Uint8Array } {
    const seq = ++this.#lastSeq;
    this.#waiting.set(seq, form);
    const writer = new RpcWriter();
    writer.map(2).text("Command").text(command).text("Seq").uint64(seq);
    if (body !== undefined) writer.append(body);
    return { seq, bytes: writer.finish() };
  }

  /** Expects no more records under this number. */
  forgetStream(seq: bigint): void {
    this.#streams.delete(seq);
  }

  /**
   * Bytes from the agent, in any portions.
   *
   * @throws {WireError} when they make no sense; the connection is then of no
   * further use, what was drained before stays valid
   */
  handleBytes(bytes: Uint8Array): void {
    this.#cutter.push(bytes);
    for (;;) {
      const value = this.#cutter.next();
      if (value === undefined) return;
      this.#onValue(decodeValue(value));
    }
  }

  /** Hands over and forgets the outputs since the last call. */
  drain(): ClientOutput[] {
    return this.#outputs.splice(0);
  }

  #onValue(value: MsgpackValue): void {
    const reading = this.#reading;
    this.#reading = { kind: "header" };
    switch (reading.kind) {
      case "header":
        return this.#onHeader(value);
      case "responseBody": {
        const { seq, error } = reading;
        this.#outputs.push({ kind: "response", seq, error, body: value });
        return;
      }
      case "recordBody":
        this.#outputs.push({ kind: "record", seq: reading.seq, body: value });
    }
  }

  #onHeader(value: MsgpackValue): void {
    if (!(value instanceof Map)) {
      throw new WireError("badType", "response header is not a map");
    }
    if (!value.has("Seq")) return;
    const seq = readSeq(value.get("Seq"));
    const error = readText(value.get("Error"));
    const form = this.#waiting.get(seq);
    if (form === undefined) {
      if (this.#streams.has(seq)) this.#reading = { kind: "recordBody", seq };
      return;
    }
    this.#waiting.delete(seq);
    if (form === "stream" && error === "") this.#streams.add(seq);
    const hasBody = form === "always"
      ? !ERRORS_WITHOUT_BODY.includes(error)
      : form === "onSuccess" && error === "";
    if (hasBody) this.#reading = { kind: "responseBody", seq, error };
    else this.#outputs.push({ kind: "response", seq, error, body: undefined });
  }
}

function readSeq(value: MsgpackValue | undefined): bigint {
  if (typeof value === "bigint" && value >= 0n) return value;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) {
    return BigInt(value);
  }
  throw new WireError("badValue", "Seq is not an unsigned integer");
}

function readText(value: MsgpackValue | undefined): string {
  if (value instanceof MsgpackText) return value.toString();
  if (value === undefined || value === null) return "";
  throw new WireError("badValue", "Error is not a text");
}
