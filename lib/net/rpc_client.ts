/**
 * A client of an agent's RPC port.
 *
 * What it may load is little, since every command of `serf` waits for it. How
 * requests and their answers travel is in `rpc_caller.ts`.
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
  encodeTagChanges,
  readCoordinateBody,
  readEventRecord,
  readJoinBody,
  readKeysBody,
  readLogBody,
  readMembersBody,
  readMetricsBody,
  readQueryRecord,
  readStatsBody,
  type RpcQueryRequest,
} from "../rpc/client_bodies.ts";
import {
  type MemberFilter,
  RPC_ADDRESS_DEFAULT,
  RpcErrorText,
  type RpcKeyReport,
  type RpcMember,
  type RpcMetricsReport,
  type RpcStats,
  type TagChanges,
} from "../rpc/protocol.ts";
import type { QueryReply } from "../serf/event.ts";
import type { MsgpackValue } from "../wire/msgpack_value.ts";
import type { CoordinateRecord } from "../wire/serf_payloads.ts";
import {
  EVENTS_WAITING_MAX,
  type EventStreamOptions,
  type Payload,
  payloadBytes,
  type QueryResult,
  queryResult,
  type ReceivedReply,
  receivedReply,
} from "./received.ts";
import { RefusedError, RpcCaller } from "./rpc_caller.ts";
import { dialRpc } from "./rpc_endpoint.ts";
import { type RpcEvent, rpcEvent } from "./rpc_event.ts";
import { Subscription } from "./subscription.ts";

// What its methods take and return, for those who import this file alone.
export type { RpcQueryRequest } from "../rpc/client_bodies.ts";
export type {
  MemberFilter,
  RpcKeyReport,
  RpcMember,
  RpcMetricsInterval,
  RpcMetricsReport,
  RpcMetricTally,
  RpcQuery,
  RpcStats,
  TagChanges,
} from "../rpc/protocol.ts";
export type { MemberEventType, QueryReply, UserEvent } from "../serf/event.ts";
export type { MsgpackText, MsgpackValue } from "../wire/msgpack_value.ts";
export type { CoordinateRecord } from "../wire/serf_payloads.ts";
export type {
  EventStreamOptions,
  LostEvents,
  Payload,
  QueryResult,
  ReceivedResponse,
  ReceivedUserEvent,
} from "./received.ts";
export type {
  RpcEvent,
  RpcMemberEvent,
  RpcReceivedQuery,
} from "./rpc_event.ts";
export type { Subscription } from "./subscription.ts";

/** Which agent to talk to. */
export interface RpcClientOptions {
  /** `host:port`, `[v6]:port` or `unix:///path`; default the agent's own default. */
  readonly address?: string;
  /** The agent's token; empty or absent for none. */
  readonly authKey?: string;
}

/** A key request failed, entirely or at some members. */
export class KeyRequestError extends Error {
  override name = "KeyRequestError";
  /** @param report what the members said */
  constructor(
    message: string,
    readonly report: RpcKeyReport,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The agent does not have the command that was asked of it. */
export class UnsupportedCommandError extends Error {
  override name = "UnsupportedCommandError";
}

/** A query as a client asks it; only the name is needed. See `RpcQuery`. */
export type RpcQueryOptions =
  & Omit<RpcQueryRequest, "payload">
  & { readonly payload?: Payload | undefined };

/**
 * A connection to a running agent, ours or HashiCorp's.
 *
 * What the agent refuses becomes an `Error` with the agent's text, and the
 * connection goes on. A connection that ends makes everything pending, and every
 * request after that, fail with `client closed`; see `closed`. The agent serves
 * one request of a connection after the other. There is no limit on waiting for
 * an answer: a leave takes its time. `using` closes it at the end of a block.
 *
 * ```ts
 * import { RpcClient } from "@serf/serf";
 *
 * async function announce(version: string): Promise<void> {
 *   using client = await RpcClient.connect({ address: "127.0.0.1:7373" });
 *   for (const { name } of await client.members({ status: "alive" })) {
 *     console.info(`${name} will hear of it`);
 *   }
 *   const events = await client.events("user:deploy,member-failed");
 *   await client.event({ name: "deploy", payload: version });
 *   for await (const event of events) {
 *     if (event.type === "user" && event.text === version) break;
 *   }
 * }
 * ```
 */
export class RpcClient {
  readonly #caller: RpcCaller;
  /** Event streams that have not ended. */
  readonly #subscriptions = new Set<Subscription<RpcEvent>>();

  private constructor(caller: RpcCaller) {
    this.#caller = caller;
    // Once for all: what waits for the end is kept until then.
    caller.closed.then(() => {
      for (const subscription of this.#subscriptions) subscription.end();
    });
  }

  /**
   * Connects, and introduces itself. A connection that is not there within 10 s
   * counts as failed.
   *
   * ```ts
   * import { RpcClient } from "@serf/serf";
   * import assert from "node:assert/strict";
   *
   * // Nobody listens on port 1.
   * await assert.rejects(RpcClient.connect({ address: "127.0.0.1:1" }), {
   *   message: "dial tcp 127.0.0.1:1: connect: connection refused",
   * });
   * ```
   *
   * @throws {SyntaxError} when the address cannot be read or its host is not known
   * @throws {Error} saying why not: `dial tcp 127.0.0.1:7373: connect:
   * connection refused`, `Invalid authentication token`
   */
  static async connect(options: RpcClientOptions = {}): Promise<RpcClient> {
    const conn = await dialRpc(options.address ?? RPC_ADDRESS_DEFAULT);
    const client = new RpcClient(new RpcCaller(conn));
    try {
      await client.#caller.request("handshake", "none", encodeHandshake());
      const authKey = options.authKey ?? "";
      if (authKey !== "") {
        await client.#caller.request("auth", "none", encodeAuth(authKey));
      }
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** Fulfilled when the connection has ended, from either side; never rejected. */
  get closed(): Promise<void> {
    return this.#caller.closed;
  }

  /**
   * The members that pass the filter, sorted by name; all of them without one.
   *
   * @param filter RE2 expressions, each between `^` and `$` as it stands. With one
   * that is malformed the agent closes the connection
   */
  async members(filter?: Partial<MemberFilter>): Promise<RpcMember[]> {
    const body = await this.#caller.request(
      "members-filtered",
      "onSuccess",
      encodeMemberFilter({ name: "", status: "", tags: new Map(), ...filter }),
    );
    return readMembersBody(body);
  }

  /**
   * Lets the agent join at some addresses.
   *
   * @param replay whether it is to be told recent user events, default not
   * @returns how many of the addresses were contacted, at least one
   * @throws {Error} when none was, with what went wrong at each
   */
  async join(addresses: readonly string[], replay = false): Promise<number> {
    const body = await this.#caller.request(
      "join",
      "always",
      encodeJoin(addresses, replay),
    );
    return readJoinBody(body);
  }

  /**
   * Resolves when the agent has left the cluster; it then stops, also after an
   * error.
   *
   * @throws {Error} `timeout while waiting for graceful leave` when no peer has
   * taken note
   */
  async leave(): Promise<void> {
    await this.#caller.request("leave", "none");
  }

  /**
   * Turns a failed member into one that has left.
   *
   * @param prune whether it is forgotten entirely, default not
   */
  async forceLeave(node: string, prune = false): Promise<void> {
    await this.#caller.request(
      "force-leave",
      "none",
      encodeForceLeave(node, prune),
    );
  }

  /**
   * Sends a user event to every member. `coalesce`: receivers may keep only the
   * newest of the name, default not.
   *
   * @throws {Error} when it is too long, by default above 512 bytes encoded
   */
  async event(
    event: {
      readonly name: string;
      readonly payload?: Payload | undefined;
      readonly coalesce?: boolean;
    },
  ): Promise<void> {
    const { name, payload, coalesce = false } = event;
    const body = encodeEvent({ name, payload: bytesOf(payload), coalesce });
    await this.#caller.request("event", "none", body);
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

  /**
   * Changes the agent's tags: deletes, then sets. Resolves once a peer of the
   * agent knows, at once if it has none.
   *
   * @throws {Error} when they are longer than 512 bytes encoded, when the agent
   * cannot write its tags file, or when no peer took note within 5 s, though the
   * new tags are in force then
   */
  async changeTags(changes: Partial<TagChanges>): Promise<void> {
    const whole = { set: new Map(), delete: [], ...changes };
    await this.#caller.request("tags", "none", encodeTagChanges(whole));
  }

  /** Figures and facts of the agent, by section, as `serf info` shows them. */
  async stats(): Promise<RpcStats> {
    return readStatsBody(await this.#caller.request("stats", "onSuccess"));
  }

  /**
   * What the agent has counted in the last minute, in intervals of 10 s; the
   * running one is left out.
   *
   * @throws {UnsupportedCommandError} when the agent does not have this command,
   * as HashiCorp's does not; it ends the connection then
   */
  async metrics(): Promise<RpcMetricsReport> {
    try {
      return readMetricsBody(
        await this.#caller.request("metrics", "onSuccess"),
      );
    } catch (cause) {
      const { message } = cause as Error;
      if (message !== RpcErrorText.unsupportedCommand) throw cause;
      throw new UnsupportedCommandError(message, { cause });
    }
  }

  /** Where a node is in the network; `undefined` when the agent cannot say. */
  async coordinate(node: string): Promise<CoordinateRecord | undefined> {
    const body = await this.#caller.request(
      "get-coordinate",
      "onSuccess",
      encodeGetCoordinate(node),
    );
    return readCoordinateBody(body);
  }

  /**
   * Subscribes to events. Resolves when the agent has agreed; what happens from
   * then on is in the stream, which `break` ends, and the end of the connection.
   *
   * An agent drops events of a stream, without a notice, while 512 wait for the
   * connection. Here they are read as they come, and wait as `EventStreamOptions`
   * says; what is dropped here is told by a `lost` event.
   *
   * @param filter a comma list of `member-join`, `member-leave`, `member-failed`,
   * `member-update`, `member-reap`, `user`, `user:NAME`, `query`, `query:NAME`, or
   * `*`, the default, for all
   * @throws {RangeError} when `bufferMax` is less than 1; nothing was asked then
   * @throws {Error} `Invalid event filter`
   */
  async events(
    filter = "*",
    options: EventStreamOptions = {},
  ): Promise<Subscription<RpcEvent>> {
    let seq: bigint | undefined;
    const subscription = new Subscription<RpcEvent>({
      bufferMax: options.bufferMax ?? EVENTS_WAITING_MAX,
      lostNotice: (count) => ({ type: "lost", count }),
      signal: options.signal,
      onEnd: () => {
        this.#subscriptions.delete(subscription);
        // A connection that is gone has nothing left to stop.
        if (seq !== undefined) this.stop(seq).catch(() => {});
      },
    });
    if (!subscription.isEnded) this.#subscriptions.add(subscription);
    const respond = (id: bigint, payload: Uint8Array) =>
      this.respond(id, payload);
    try {
      seq = await this.#caller.openStream(
        "stream",
        encodeStream(filter),
        (body) => {
          const record = readEventRecord(body);
          if (record !== undefined) {
            subscription.push(rpcEvent(record, respond));
          }
        },
      );
    } catch (error) {
      subscription.end();
      throw error;
    }
    if (subscription.isEnded) await this.stop(seq).catch(() => {});
    return subscription;
  }

  /**
   * Subscribes to events, as they travel: for those who show every field. The
   * fields are msgpack values, texts among them bytes; see `events` for values to
   * work with.
   *
   * @param filter as for `events`
   * @param onEvent gets the fields of each record as they came
   * @returns a number to `stop` it by
   * @throws {Error} `Invalid event filter`
   */
  async stream(
    filter: string,
    onEvent: (record: MsgpackValue) => void,
  ): Promise<bigint> {
    return await this.#caller.openStream(
      "stream",
      encodeStream(filter),
      onEvent,
    );
  }

  /**
   * Subscribes to the agent's log, its recent past first. A connection has one
   * monitor at a time.
   *
   * @param level the least important one wanted: trace, debug, info, warn or err,
   * in any case
   * @returns a number to `stop` it by
   * @throws {Error} `Unknown log level: ...`, `Monitor already exists`
   */
  async monitor(
    level: string,
    onLine: (line: string) => void,
  ): Promise<bigint> {
    return await this.#caller.openStream(
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
    query: RpcQueryOptions,
    listener: {
      onStart?(): void;
      onReply(reply: QueryReply): void;
    },
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    // Replies may be read together with the answer to the request.
    let early: QueryReply[] | undefined = [];
    const request = encodeQuery({ ...query, payload: bytesOf(query.payload) });
    const seq = await this.#caller.openStream("query", request, (body) => {
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
    this.#caller.forgetStream(seq);
  }

  /**
   * Asks the cluster and waits until the query has ended: when everybody has
   * answered, or its time is over. HashiCorp's agents always wait for the latter.
   *
   * @returns what came back; less than all if the connection has ended meanwhile
   * @throws {Error} with the agent's text when it refuses the query
   */
  async queryAll(query: RpcQueryOptions): Promise<QueryResult> {
    const replies: ReceivedReply[] = [];
    await this.query(query, {
      onReply: (reply) => replies.push(receivedReply(reply)),
    });
    return queryResult(replies);
  }

  /**
   * Answers a query that came in a stream of this connection.
   *
   * @param id as the record had it
   * @throws {Error} with the agent's text: when it is too long, too late, or not
   * the first answer
   */
  async respond(id: bigint, payload: Payload): Promise<void> {
    const body = encodeRespond(id, payloadBytes(payload));
    await this.#caller.request("respond", "none", body);
  }

  /** Ends a stream or a monitor. No record of it is reported any more. */
  async stop(seq: bigint): Promise<void> {
    this.#caller.muteStream(seq);
    await this.#caller.request("stop", "none", encodeStop(seq));
    this.#caller.forgetStream(seq);
  }

  /** Closes the connection. What is pending fails with `client closed`. */
  close(): void {
    this.#caller.close();
  }

  async #changeKeys(command: string, key?: string): Promise<RpcKeyReport> {
    try {
      const body = key === undefined ? undefined : encodeKey(key);
      return readKeysBody(
        await this.#caller.request(command, "always", body),
      );
    } catch (cause) {
      if (!(cause instanceof RefusedError)) throw cause;
      const report = readKeysBody(cause.body);
      throw new KeyRequestError(cause.message, report, { cause });
    }
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function bytesOf(payload: Payload | undefined): Uint8Array | undefined {
  return payload === undefined ? undefined : payloadBytes(payload);
}
