/**
 * A client of an agent's RPC port.
 *
 *     const client = await RpcClient.connect({ address: "127.0.0.1:7373" });
 *     const members = await client.members();
 *     client.close();
 *
 * What the agent refuses becomes an `Error` with the agent's text; a connection
 * that ends makes everything pending fail with `client closed`, as in Go's
 * client. There is no limit on waiting for an answer: a leave takes its time.
 *
 * The protocol itself is in `lib/rpc/client_session.ts`.
 */

import {
  encodeAuth,
  encodeEvent,
  encodeForceLeave,
  encodeGetCoordinate,
  encodeHandshake,
  encodeJoin,
  encodeKey,
  encodeMemberFilter,
  encodeMonitor,
  encodeQuery,
  encodeRespond,
  encodeStop,
  encodeStream,
  readCoordinateBody,
  readJoinBody,
  readKeysBody,
  readLogBody,
  readMembersBody,
  readQueryRecord,
  readStatsBody,
  type RpcQueryRequest,
} from "../rpc/client_bodies.ts";
import {
  type AnswerForm,
  type ClientOutput,
  ClientSession,
} from "../rpc/client_session.ts";
import {
  type MemberFilter,
  RPC_ADDRESS_DEFAULT,
  type RpcKeyReport,
  type RpcMember,
  type RpcStats,
} from "../rpc/protocol.ts";
import type { QueryReply } from "../serf/event.ts";
import type { MsgpackValue } from "../wire/msgpack_value.ts";
import type { CoordinateRecord } from "../wire/serf_payloads.ts";
import { dialRpc, resolveDial, type RpcConn } from "./rpc_endpoint.ts";

/** Longest wait for a connection, ms. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Bytes asked for by one read. */
const READ_BYTES = 65_536;

/** What a request fails with when the connection ends. */
const CLIENT_CLOSED = "client closed";

export interface RpcClientOptions {
  /** `host:port`, `[v6]:port` or `unix:///path`; default the agent's own default. */
  readonly address?: string;
  /** The agent's token; empty or absent for none. */
  readonly authKey?: string;
}

/** A key request failed, entirely or at some members. */
export class KeyRequestError extends Error {
  override name = "KeyRequestError";
  constructor(
    message: string,
    readonly report: RpcKeyReport,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What the agent refused, with the body that came beside the error. */
class RefusedError extends Error {
  constructor(message: string, readonly body: MsgpackValue | undefined) {
    super(message);
  }
}

interface Waiting {
  resolve(body: MsgpackValue | undefined): void;
  reject(error: Error): void;
}

export class RpcClient {
  readonly #conn: RpcConn;
  readonly #session = new ClientSession();
  readonly #waiting = new Map<bigint, Waiting>();
  readonly #listeners = new Map<bigint, (record: MsgpackValue) => void>();
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;

  private constructor(conn: RpcConn) {
    this.#conn = conn;
    this.#readAll();
  }

  /**
   * Connects, and introduces itself.
   *
   * @throws {Error} saying why not: `dial tcp 127.0.0.1:7373: connect:
   * connection refused`, `Invalid authentication token`
   */
  static async connect(options: RpcClientOptions = {}): Promise<RpcClient> {
    const client = new RpcClient(
      await dialRpc(
        await resolveDial(options.address ?? RPC_ADDRESS_DEFAULT),
        CONNECT_TIMEOUT_MS,
      ),
    );
    try {
      await client.#request("handshake", "none", encodeHandshake());
      const authKey = options.authKey ?? "";
      if (authKey !== "") {
        await client.#request("auth", "none", encodeAuth(authKey));
      }
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Settles when the connection has ended, from either side. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The members that pass the filter; all of them without one. */
  async members(filter?: Partial<MemberFilter>): Promise<RpcMember[]> {
    const body = await this.#request(
      "members-filtered",
      "onSuccess",
      encodeMemberFilter({ name: "", status: "", tags: new Map(), ...filter }),
    );
    return readMembersBody(body);
  }

  /** @returns how many of the addresses were contacted, at least one */
  async join(addresses: readonly string[], replay: boolean): Promise<number> {
    const body = await this.#request(
      "join",
      "always",
      encodeJoin(addresses, replay),
    );
    return readJoinBody(body);
  }

  /** Resolves when the agent has left the cluster; it then stops. */
  async leave(): Promise<void> {
    await this.#request("leave", "none");
  }

  async forceLeave(node: string, prune: boolean): Promise<void> {
    await this.#request("force-leave", "none", encodeForceLeave(node, prune));
  }

  async event(
    event: {
      readonly name: string;
      readonly payload?: Uint8Array | undefined;
      readonly coalesce: boolean;
    },
  ): Promise<void> {
    await this.#request("event", "none", encodeEvent(event));
  }

  /**
   * Installs a key at every member. What it throws goes for all four.
   *
   * @param key base64 of 16, 24 or 32 bytes
   * @throws {KeyRequestError} when not every member did it; with their messages
   */
  async installKey(key: string): Promise<RpcKeyReport> {
    return await this.#changeKeys("install-key", key);
  }

  /** Makes an installed key the one that every member seals with. */
  async useKey(key: string): Promise<RpcKeyReport> {
    return await this.#changeKeys("use-key", key);
  }

  /** Removes a key, which must not be the one in use, from every member. */
  async removeKey(key: string): Promise<RpcKeyReport> {
    return await this.#changeKeys("remove-key", key);
  }

  /** Counts which members have which keys. */
  async listKeys(): Promise<RpcKeyReport> {
    return await this.#changeKeys("list-keys");
  }

  async stats(): Promise<RpcStats> {
    return readStatsBody(await this.#request("stats", "onSuccess"));
  }

  /** Where a node is in the network; `undefined` when the agent cannot say. */
  async coordinate(node: string): Promise<CoordinateRecord | undefined> {
    const body = await this.#request(
      "get-coordinate",
      "onSuccess",
      encodeGetCoordinate(node),
    );
    return readCoordinateBody(body);
  }

  /**
   * Subscribes to events.
   *
   * @param filter a list such as `member-join,user:deploy`; `*` for all
   * @param onEvent gets the fields of each record as they came
   * @returns a number to `stop` it by
   */
  async stream(
    filter: string,
    onEvent: (record: MsgpackValue) => void,
  ): Promise<bigint> {
    return await this.#openStream("stream", encodeStream(filter), onEvent);
  }

  /**
   * Subscribes to the agent's log, its recent past first.
   *
   * @param level a log level in any case
   * @returns a number to `stop` it by
   */
  async monitor(
    level: string,
    onLine: (line: string) => void,
  ): Promise<bigint> {
    return await this.#openStream(
      "monitor",
      encodeMonitor(level),
      (record) => onLine(readLogBody(record)),
    );
  }

  /**
   * Asks the cluster. Settles when the query has ended, or the connection.
   *
   * Replies without a sender, which the original's agents send at the end of a
   * query, are passed over.
   *
   * @param listener `onStart` is called first, once the agent has agreed
   * @throws {Error} with the agent's text when it has not
   */
  async query(
    query: RpcQueryRequest,
    listener: {
      onStart?(): void;
      onReply(reply: QueryReply): void;
    },
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    // Replies may be read together with the answer to the request.
    let early: QueryReply[] | undefined = [];
    const seq = await this.#openStream("query", encodeQuery(query), (body) => {
      const record = readQueryRecord(body);
      if (record === undefined) return;
      if (record.kind === "done") done.resolve();
      else if (record.from === "") return;
      else if (early === undefined) listener.onReply(record);
      else early.push(record);
    });
    listener.onStart?.();
    for (const reply of early) listener.onReply(reply);
    early = undefined;
    await Promise.race([done.promise, this.closed]);
    this.#listeners.delete(seq);
    this.#session.forgetStream(seq);
  }

  /**
   * Answers a query that came in a stream of this connection.
   *
   * @param id as the record had it
   */
  async respond(id: bigint, payload: Uint8Array): Promise<void> {
    await this.#request("respond", "none", encodeRespond(id, payload));
  }

  /** Ends a stream or a monitor. No record of it is reported any more. */
  async stop(seq: bigint): Promise<void> {
    this.#listeners.delete(seq);
    await this.#request("stop", "none", encodeStop(seq));
    this.#session.forgetStream(seq);
  }

  /** Closes the connection. What is pending fails with `client closed`. */
  close(): void {
    this.#end(new Error(CLIENT_CLOSED));
  }

  async #changeKeys(command: string, key?: string): Promise<RpcKeyReport> {
    try {
      const body = key === undefined ? undefined : encodeKey(key);
      return readKeysBody(await this.#request(command, "always", body));
    } catch (cause) {
      if (!(cause instanceof RefusedError)) throw cause;
      const report = readKeysBody(cause.body);
      throw new KeyRequestError(cause.message, report, { cause });
    }
  }

  async #openStream(
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

  #request(
    command: string,
    form: AnswerForm,
    body?: Uint8Array,
  ): Promise<MsgpackValue | undefined> {
    return this.#start(command, form, body).answer;
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
      this.#write(bytes);
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
