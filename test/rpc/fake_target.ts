/** An agent for tests of the RPC port: answers as it is told, and takes notes. */

import { parseIp } from "../../lib/kit/address.ts";
import type { LogLevel } from "../../lib/kit/log.ts";
import type { RpcTarget } from "../../lib/net/rpc_server.ts";
import type { QueryListener } from "../../lib/net/driver.ts";
import type {
  RpcKeyRequest,
  RpcMetricsReport,
  RpcQuery,
  TagChanges,
} from "../../lib/rpc/protocol.ts";
import type { KeyReport, QueryEvent, SerfEvent } from "../../lib/serf/event.ts";
import { NO_KEY_REPORT } from "../../lib/serf/key_manager.ts";
import type { Member, MemberStatus } from "../../lib/serf/member.ts";
import type { CoordinateRecord } from "../../lib/wire/serf_payloads.ts";

/** A query that may be answered for ever. */
export function queryEvent(given: Partial<QueryEvent> = {}): QueryEvent {
  return {
    type: "query",
    ltime: 1n,
    id: 7,
    name: "load",
    payload: new Uint8Array(0),
    sourceNode: "n1",
    sourceAddr: Uint8Array.of(127, 0, 0, 1),
    sourcePort: 7946,
    relayFactor: 0,
    deadlineMs: Infinity,
    ...given,
  };
}

/** A member with the usual protocol numbers. */
export function member(
  name: string,
  given: {
    readonly ip?: string;
    readonly port?: number;
    readonly status?: MemberStatus;
    readonly tags?: Readonly<Record<string, string>>;
  } = {},
): Member {
  const ip = given.ip ?? "127.0.0.1";
  return {
    name,
    addr: parseIp(ip) as Uint8Array,
    ip,
    port: given.port ?? 7946,
    tags: new Map(Object.entries(given.tags ?? {})),
    status: given.status ?? "alive",
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 5,
  };
}

export class FakeTarget implements RpcTarget {
  memberList: Member[] = [];
  statistics = new Map<string, ReadonlyMap<string, string>>();
  metricsReport: RpcMetricsReport = { startedMs: 0, intervals: [] };
  coordinates = new Map<string, CoordinateRecord>();
  /** What `join` does. */
  onJoin: (addresses: readonly string[]) => Promise<number> = (addresses) =>
    Promise.resolve(addresses.length);
  /** What `leave` does. */
  onLeave: () => Promise<void> = () => Promise.resolve();
  /** What `userEvent` fails with. */
  eventError: string | undefined;
  /** What `changeTags` fails with. */
  tagsError: string | undefined;
  /** What `query` does beside taking a note. */
  onQuery: (query: RpcQuery, listener: QueryListener) => void = (
    _,
    listener,
  ) => listener.onDone();
  /** How many queries were given up. */
  givenUp = 0;
  /** What `respond` fails with. */
  respondError: string | undefined;
  /** What `changeKeys` does beside taking a note. */
  onChangeKeys: () => Promise<KeyReport> = () => Promise.resolve(NO_KEY_REPORT);
  /** What monitors are given first. */
  backlog: string[] = [];

  /** Calls as `name argument ...`, in order. */
  readonly calls: string[] = [];
  /** Log lines of the RPC layer as `[LEVEL] text`. */
  readonly logged: string[] = [];
  readonly #eventListeners = new Set<(event: SerfEvent) => void>();
  readonly #logListeners = new Set<(line: string) => void>();

  get monitorCount(): number {
    return this.#logListeners.size;
  }

  /** Delivers an event to the streams. */
  emit(event: SerfEvent): void {
    for (const listener of this.#eventListeners) listener(event);
  }

  /** Delivers a line to the monitors. */
  say(line: string): void {
    for (const listener of this.#logListeners) listener(line);
  }

  members(): readonly Member[] {
    return this.memberList;
  }

  join(addresses: readonly string[], replay: boolean): Promise<number> {
    this.calls.push(`join ${addresses.join(" ")} replay=${replay}`);
    return this.onJoin(addresses);
  }

  leave(): Promise<void> {
    this.calls.push("leave");
    return this.onLeave();
  }

  forceLeave(node: string, prune: boolean): Promise<void> {
    this.calls.push(`forceLeave ${node} prune=${prune}`);
    return Promise.resolve();
  }

  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    const text = new TextDecoder().decode(payload);
    this.calls.push(`userEvent ${name} ${text} coalesce=${coalesce}`);
    if (this.eventError !== undefined) throw new Error(this.eventError);
  }

  changeTags(changes: TagChanges): Promise<void> {
    const set = [...changes.set].map(([key, value]) => `${key}=${value}`);
    this.calls.push(`changeTags ${set.join()} delete=${changes.delete.join()}`);
    return this.tagsError === undefined
      ? Promise.resolve()
      : Promise.reject(new Error(this.tagsError));
  }

  query(query: RpcQuery, listener: QueryListener): () => void {
    const { name, payload, filterNodes, filterTags } = query;
    const filters = [
      ...filterNodes,
      ...[...filterTags].map(([tag, expr]) => `${tag}=${expr}`),
    ];
    const text = new TextDecoder().decode(payload);
    this.calls.push(
      `query ${name} ${text} filters=${filters.join(",")} ` +
        `ack=${query.requestAck} relay=${query.relayFactor} ` +
        `timeout=${query.timeoutMs}`,
    );
    this.onQuery(query, listener);
    return () => this.givenUp++;
  }

  respond(query: QueryEvent, payload: Uint8Array): void {
    const text = new TextDecoder().decode(payload);
    this.calls.push(`respond ${query.name} ${text}`);
    if (this.respondError !== undefined) throw new Error(this.respondError);
  }

  changeKeys(request: RpcKeyRequest): Promise<KeyReport> {
    const key = request.kind === "list" ? "" : ` ${request.key}`;
    this.calls.push(`changeKeys ${request.kind}${key}`);
    return this.onChangeKeys();
  }

  stats(): ReadonlyMap<string, ReadonlyMap<string, string>> {
    return this.statistics;
  }

  recentMetrics(): RpcMetricsReport {
    return this.metricsReport;
  }

  coordinate(node: string): CoordinateRecord | undefined {
    return this.coordinates.get(node);
  }

  subscribeEvents(listener: (event: SerfEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  subscribeLog(
    level: LogLevel,
    listener: (line: string) => void,
  ): { backlog: string[]; unsubscribe(): void } {
    this.calls.push(`subscribeLog ${level}`);
    this.#logListeners.add(listener);
    return {
      backlog: this.backlog,
      unsubscribe: () => this.#logListeners.delete(listener),
    };
  }

  /** Like a real agent, this one's monitors hear what is logged. */
  log(level: LogLevel, text: string): void {
    this.logged.push(`[${level}] ${text}`);
    this.say(`2026/11/20 12:00:00 [${level}] ${text}`);
  }
}
