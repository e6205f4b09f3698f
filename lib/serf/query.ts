/**
 * Queries of other members: recognised and passed on.
 *
 * A query is recognised by Lamport time and number. The ring remembers those of
 * the last `queryBuffer` times, so that a query goes round the cluster once.
 * Queries are not answered here, and not asked.
 *
 * One Lamport time holds at most `QUERIES_PER_LTIME_MAX` queries and the whole
 * ring `QUERIES_MAX`; upstream has no limit. See `ltime_ring.ts`.
 *
 * Source: serf `serf.go` (handleQuery, handleQueryResponse), `delegate.go`.
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import {
  QueryFlag,
  type QueryMessage,
  type QueryResponse,
  type Relay,
} from "../wire/serf_messages.ts";
import type { SerfCore } from "./core.ts";
import { LTimeRing } from "./ltime_ring.ts";

/** Most different queries with one Lamport time. */
const QUERIES_PER_LTIME_MAX = 1_024;
/** Most queries remembered. */
const QUERIES_MAX = 16_384;

export class Queries {
  readonly #core: SerfCore;
  /** Numbers of the queries of each time. */
  readonly #ring: LTimeRing<number>;

  constructor(core: SerfCore) {
    this.#core = core;
    this.#ring = new LTimeRing({
      slots: core.config.queryBuffer,
      itemsPerTimeMax: QUERIES_PER_LTIME_MAX,
      weightMax: QUERIES_MAX,
      weigh: () => 1,
    });
  }

  /** @returns whether the query is new and may be passed on */
  arrived(query: QueryMessage, nowMs: number): boolean {
    const core = this.#core;
    const { ltime, id, name } = query;
    core.queryClock.witness(ltime);
    const clockTime = core.queryClock.time;
    if (this.#ring.isOld(ltime, clockTime)) {
      core.refuse(
        "WARN",
        `received old query ${name} from time ${ltime} (current: ${clockTime})`,
        nowMs,
      );
      return false;
    }
    if (this.#ring.at(ltime).includes(id)) return false;
    if (!this.#ring.add(ltime, id)) {
      core.refuse(
        "WARN",
        `too many queries at time ${ltime}, dropping ${name}`,
        nowMs,
      );
      return false;
    }
    core.counters.queries++;
    return (query.flags & QueryFlag.noBroadcast) === 0;
  }

  /** An ack or answer; nobody here has asked. */
  responseArrived(response: QueryResponse, nowMs: number): void {
    const { ltime, id, from } = response;
    this.#core.refuse(
      "WARN",
      `reply for non-running query (LTime: ${ltime}, ID: ${id}) From: ${from}`,
      nowMs,
    );
  }
}

/** Names of network interfaces. */
const ZONE = /^[\w.:-]{1,64}$/;

/**
 * Where a relayed message goes, as `ip:port`.
 *
 * @returns `undefined` when no datagram can go there
 */
export function relayAddress(relay: Relay): string | undefined {
  const { destAddr, destPort, destZone } = relay;
  const ip = formatIp(destAddr);
  if (destPort < 1 || destPort > 65_535) return undefined;
  if (destAddr.length === 4) return formatEndpoint(ip, destPort);
  if (destAddr.length !== 16) return undefined;
  if (destZone === "") return formatEndpoint(ip, destPort);
  if (!ZONE.test(destZone)) return undefined;
  return formatEndpoint(`${ip}%${destZone}`, destPort);
}
