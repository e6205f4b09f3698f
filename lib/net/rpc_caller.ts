/**
 * The client's end of a connection to an RPC port: requests go out, and each
 * answer or record finds who waits for it.
 *
 * The protocol itself is in `lib/rpc/client_session.ts`, what the requests mean
 * in `rpc_client.ts`.
 */

import {
  type AnswerForm,
  type ClientOutput,
  ClientSession,
} from "../rpc/client_session.ts";
import type { MsgpackValue } from "../wire/msgpack_value.ts";
import type { RpcConn } from "./rpc_endpoint.ts";

/** Bytes asked for by one read. */
const READ_BYTES = 65_536;

/** What a request fails with when the connection ends. */
const CLIENT_CLOSED = "client closed";

/** What the agent refused, with the body that came beside the error. */
export class RefusedError extends Error {
  constructor(message: string, readonly body: MsgpackValue | undefined) {
    super(message);
  }
}

interface Waiting {
  resolve(body: MsgpackValue | undefined): void;
  reject(error: Error): void;
}

export class RpcCaller {
  readonly #conn: RpcConn;
  readonly #session = new ClientSession();
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #listeners = new Map<bigint, (record: MsgpackValue) => void>();
  readonly #closed = Promise.withResolvers<void>();
  /** Settles when all that was to be written before has left; never rejected. */
  #written: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(conn: RpcConn) {
    this.#conn = conn;
    this.#readAll();
  }

  /** Fulfilled when the connection has ended, from either side; never rejected. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Sends a request, and waits for the answer without a limit.
   *
   * @param form when a body follows the header of the answer
   * @throws {RefusedError} with the agent's text
   * @throws {Error} `client closed` when the connection ends before the answer
   */
  request(
    command: string,
    form: AnswerForm,
    body?: Uint8Array,
  ): Promise<MsgpackValue | undefined> {
    return this.#start(command, form, body).answer;
  }

  /**
   * Sends a request whose answer is followed by records.
   *
   * @param listener gets each record; the first may come before this resolves
   * @returns the number of the stream
   * @throws as `request`
   */
  async openStream(
    command: string,
    body: Uint8Array,
    listener: (record: MsgpackValue) => void,
  ): Promise<bigint> {
    const { seq, answer } = this.#start(command, "stream", body);
    // In place before the answer is: records may follow it in the same packet.
    this.#listeners.set(seq, listener);
    try {
      await answer;
    } catch (error) {
      this.#listeners.delete(seq);
      throw error;
    }
    return seq;
  }

  /** Passes on no record of the stream any more; they may still come. */
  muteStream(seq: bigint): void {
    this.#listeners.delete(seq);
  }

  /** No record of the stream will come any more. */
  forgetStream(seq: bigint): void {
    this.#listeners.delete(seq);
    this.#session.forgetStream(seq);
  }

  /** What is pending fails with `client closed`. */
  close(): void {
    this.#end(new Error(CLIENT_CLOSED));
  }

  #start(
    command: string,
    form: AnswerForm,
    body?: Uint8Array,
  ): { seq: bigint; answer: Promise<MsgpackValue | undefined> } {
    const { seq, bytes } = this.#session.startRequest(command, form, body);
    const { promise, resolve, reject } = Promise.withResolvers<
      MsgpackValue | undefined
    >();
    if (this.#isClosed) reject(new Error(CLIENT_CLOSED));
    else {
      this.#waiting.set(seq, { resolve, reject });
      // One at a time: the system may take a part of one, and then of another.
      this.#written = this.#written.then(() => this.#write(bytes));
    }
    return { seq, answer: promise };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      let rest = bytes;
      while (rest.length > 0) {
        rest = rest.subarray(await this.#conn.write(rest));
      }
    } catch {
      this.close();
    }
  }

  async #readAll(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    let failure = new Error(CLIENT_CLOSED);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        this.#session.handleBytes(buffer.subarray(0, count));
        this.#deliver();
      }
    } catch (cause) {
      failure = new Error(CLIENT_CLOSED, { cause });
    }
    this.#end(failure);
  }

  #deliver(): void {
    for (const output of this.#session.drain()) this.#onOutput(output);
  }

  #onOutput(output: ClientOutput): void {
    if (output.kind === "record") {
      this.#listeners.get(output.seq)?.(output.body);
      return;
    }
    const waiting = this.#waiting.get(output.seq);
    this.#waiting.delete(output.seq);
    if (output.error !== "") {
      waiting?.reject(new RefusedError(output.error, output.body));
    } else waiting?.resolve(output.body);
  }

  #end(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.#listeners.clear();
    this.#closed.resolve();
  }
}
