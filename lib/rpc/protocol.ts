/**
 * What both ends of the RPC protocol have in common: limits, the texts that are
 * part of the protocol, and the values that travel.
 *
 * The protocol connects programs on one machine, above all the command line,
 * with an agent: a stream of msgpack values in each direction over TCP. A
 * request is a header and, for some commands, a body; so is a response. The
 * server's side of it is in `server_session.ts`, the client's in
 * `client_session.ts`, both as state machines without a socket.
 *
 * Source: serf, `cmd/serf/command/agent/ipc.go` and `client/const.go`.
 */

import { MsgpackScanner, type ScanLimits } from "../wire/msgpack_scanner.ts";

/** The one version of the protocol that exists. */
export const RPC_VERSION = 1;

/** Where an agent listens for clients unless it is told otherwise. */
export const RPC_ADDRESS_DEFAULT = "127.0.0.1:7373";

/**
 * Limits on what a client may send. The largest request of any use is a join
 * with many addresses; the original has no limit but its memory.
 */
export const REQUEST_LIMITS: ScanLimits = {
  bytesMax: 1_048_576,
  valuesMax: 65_536,
};

/**
 * Limits on what a client may send that may not give commands yet: it has a
 * handshake and a token to show. Whoever can reach the port can be such a
 * client, so it is given next to no memory.
 */
export const STRANGER_LIMITS: ScanLimits = {
  bytesMax: 16_384,
  valuesMax: 1_024,
};

/** Limits on what a server may send: 50,000 members with full tags fit. */
export const RESPONSE_LIMITS: ScanLimits = {
  bytesMax: 67_108_864,
  valuesMax: 8_388_608,
};

/**
 * Records that may wait per event stream, monitor or query; further ones are
 * dropped, but never the end of a query.
 */
export const WAITING_RECORDS_MAX = 512;

/** Queries that one connection may have running, or with records that wait. */
export const QUERIES_MAX = 256;

/** Event streams that one connection may hold. */
export const STREAMS_MAX = 256;

/** Error texts of response headers. Clients compare them, so they never change. */
export const RpcErrorText = {
  unsupportedCommand: "Unsupported command",
  unsupportedVersion: "Unsupported IPC version",
  duplicateHandshake: "Handshake already performed",
  handshakeRequired: "Handshake required",
  monitorExists: "Monitor already exists",
  invalidFilter: "Invalid event filter",
  streamExists: "Stream with given sequence exists",
  invalidAuthToken: "Invalid authentication token",
  authRequired: "Authentication required",
  noPendingQuery: "No pending queries matching ID",
  /** Ours alone: the original takes as many clients as the system lets it. */
  tooManyClients: "Too many clients of this agent",
  /** Ours alone: the original lets a connection open streams without end. */
  tooManyStreams: "Too many streams on this connection",
  /** Ours alone, for the same reason. */
  tooManyQueries: "Too many queries on this connection",
  /** Ours alone: the original lets everybody try as many tokens as they like. */
  tooManyTokens: "Too many wrong tokens from this address",
} as const;

/** A member as it travels. Every `Member` of `lib/serf` is one. */
export interface RpcMember {
  /** Unique in the cluster. */
  readonly name: string;
  /** Raw address: 4 or 16 bytes, or none when the server sent none. */
  readonly addr: Uint8Array;
  /** Of gossip. */
  readonly port: number;
  /** `undefined` when the server sent nil. */
  readonly tags: ReadonlyMap<string, string> | undefined;
  /** `alive`, `leaving`, `left`, `failed` or `none`. */
  readonly status: string;
  /** Oldest version of the gossip protocol that it understands. */
  readonly protocolMin: number;
  /** Newest version of the gossip protocol that it understands. */
  readonly protocolMax: number;
  /** Version of the gossip protocol that it speaks. */
  readonly protocolCur: number;
  /** Oldest version of the Serf protocol that it understands. */
  readonly delegateMin: number;
  /** Newest version of the Serf protocol that it understands. */
  readonly delegateMax: number;
  /** Version of the Serf protocol that it speaks. */
  readonly delegateCur: number;
}

/** Which members to list; an absent expression lets all pass. */
export interface MemberFilter {
  /** By tag name, an RE2 expression that the whole value must match. */
  readonly tags: ReadonlyMap<string, string>;
  /** An RE2 expression that the whole status must match; empty for all. */
  readonly status: string;
  /** An RE2 expression that the whole name must match; empty for all. */
  readonly name: string;
}

/** A query as a client asks it. */
export interface RpcQuery {
  /** What responders know it by. */
  readonly name: string;
  /** Empty for none. */
  readonly payload: Uint8Array;
  /** Only these members answer; empty for all. */
  readonly filterNodes: readonly string[];
  /** By tag name, an RE2 expression that the value must contain a match of. */
  readonly filterTags: ReadonlyMap<string, string>;
  /** Whether members confirm that it is there. */
  readonly requestAck: boolean;
  /** 0 to 255. */
  readonly relayFactor: number;
  /** ms; 0 for the agent's default, negative to end at once. */
  readonly timeoutMs: number;
}

/** What is to be done about the keys of the cluster. */
export type RpcKeyRequest =
  | {
    readonly kind: "install" | "use" | "remove";
    /** As the user gave it; 16, 24 or 32 bytes in base64 make sense. */
    readonly key: string;
  }
  | { readonly kind: "list" };

/** What the members said to a key request. */
export interface RpcKeyReport {
  /** By member: why it failed, or a note of one that succeeded. */
  readonly messages: ReadonlyMap<string, string>;
  /** By key in base64, how many members have it; of a list only. */
  readonly keys: ReadonlyMap<string, number> | undefined;
  /** Members that were asked. */
  readonly nodes: number;
  /** Members that answered. */
  readonly responses: number;
  /** Responses that tell of a failure. */
  readonly errors: number;
}

/** Changes to an agent's tags; what is deleted and set as well is set. */
export interface TagChanges {
  /** Values by name. */
  readonly set: ReadonlyMap<string, string>;
  /** Names that the agent need not have. */
  readonly delete: readonly string[];
}

/** An agent's figures: sections of named texts. */
export type RpcStats = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What became of one metric in one interval. */
export interface RpcMetricTally {
  readonly kind: "gauge" | "counter" | "sample";
  /** With its prefix, as it is sent to statsd. */
  readonly name: string;
  /** How many values; of a counter, increments. */
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Standard deviation of the values, as of a sample. */
  readonly deviation: number;
  /** The newest value, which is what counts of a gauge. */
  readonly last: number;
  /** When it came, ms since 1970. */
  readonly lastMs: number;
}

/** What was counted in one interval of 10 s. */
export interface RpcMetricsInterval {
  /** Its beginning, ms since 1970. */
  readonly startMs: number;
  /** Gauges, then counters, then samples. */
  readonly metrics: readonly RpcMetricTally[];
}

/** What an agent has counted in the last minute. */
export interface RpcMetricsReport {
  /** When the agent began to count, ms since 1970. */
  readonly startedMs: number;
  /** Those that are over and in which something happened, oldest first. */
  readonly intervals: readonly RpcMetricsInterval[];
}

const INITIAL_BYTES = 4_096;
/** A larger buffer is given back when it is empty. */
const KEPT_BYTES_MAX = 65_536;

/**
 * Cuts a stream of bytes into msgpack values.
 *
 * Bytes come in any portions; values come out whole, each as a copy of its own
 * bytes. No more than one unfinished value and one portion is ever held.
 */
export class ValueCutter {
  #scanner: MsgpackScanner;
  #buffer = new Uint8Array(INITIAL_BYTES);
  #start = 0;
  #end = 0;

  constructor(limits: ScanLimits) {
    this.#scanner = new MsgpackScanner(limits);
  }

  /** Whether bytes are held that no value was made of yet. */
  get hasBytes(): boolean {
    return this.#end > this.#start;
  }

  /** Sets other limits, for the values that are yet to come out. */
  setLimits(limits: ScanLimits): void {
    this.#scanner = new MsgpackScanner(limits);
    this.#scanner.restart(this.#start);
  }

  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) {
      this.#makeRoom(bytes.length);
    }
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * The next value, `undefined` when it has not arrived completely.
   *
   * @throws {WireError} when the bytes are no msgpack or beyond the limits;
   * nothing sensible can follow
   */
  next(): Uint8Array | undefined {
    const end = this.#scanner.scan(this.#buffer, this.#end);
    if (end === undefined) return undefined;
    const value = this.#buffer.slice(this.#start, end);
    this.#start = end;
    if (this.#start === this.#end) this.#makeEmpty();
    this.#scanner.restart(this.#start);
    return value;
  }

  #makeEmpty(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEPT_BYTES_MAX) {
      this.#buffer = new Uint8Array(INITIAL_BYTES);
    }
  }

  /** Moves what is held to the front, of a larger buffer if need be. */
  #makeRoom(more: number): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    const needed = held.length + more;
    // Twice as much as needed, so that a long value is rescanned a few times only.
    const isSpacious = needed <= this.#buffer.length / 2;
    const room = isSpacious ? this.#buffer : new Uint8Array(2 * needed);
    room.set(held);
    this.#buffer = room;
    this.#start = 0;
    this.#end = held.length;
    this.#scanner.restart(0);
  }
}
