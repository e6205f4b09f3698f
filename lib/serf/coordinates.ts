/**
 * Network coordinates of the members: ours, and those that others told us.
 *
 * Every ack to a direct ping carries the coordinate of whoever answers, and its
 * round trip time is known to whoever asked. That is all that Vivaldi needs, so
 * coordinates cost no packet of their own:
 *
 *     ping --> ackPayload: our coordinate
 *     ack  --> pingCompleted: theirs, and the time --> our new coordinate
 *                                              \---> theirs is kept for lookups
 *
 * Kept is one coordinate, and a few round trip times, for each member that we
 * have pinged, until the member is erased. They are not written to disk.
 *
 * Not here: the arithmetic (`lib/coordinate`), the bytes
 * (`lib/wire/serf_payloads.ts`). Source: serf, `ping_delegate.go`.
 */

import {
  type Coordinate,
  CoordinateError,
  distanceNs,
} from "../coordinate/coordinate.ts";
import { Vivaldi } from "../coordinate/vivaldi.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import { decodePingPayload, encodePingPayload } from "../wire/serf_payloads.ts";
import { WireError } from "../wire/wire_error.ts";
import type { SerfCore } from "./core.ts";

const NS_PER_MS = 1e6;

export class Coordinates {
  readonly #core: SerfCore;
  /** Absent when coordinates are switched off. */
  readonly #vivaldi: Vivaldi | undefined;
  /** Coordinates of members that we have pinged, as they told them. */
  readonly #peers = new Map<string, Coordinate>();
  /** Our coordinate as it goes into acks, and which one that is. */
  #payload = EMPTY_BYTES;
  #payloadOf: Coordinate | undefined;

  constructor(core: SerfCore) {
    this.#core = core;
    if (core.config.enableCoordinates) this.#vivaldi = new Vivaldi(core.random);
  }

  /** How often our coordinate had to start anew; `undefined` when switched off. */
  get resets(): number | undefined {
    return this.#vivaldi?.resets;
  }

  /** Members whose coordinate is known, without ourselves. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** What we answer a ping with; empty when coordinates are switched off. */
  get ackPayload(): Uint8Array {
    const ours = this.#vivaldi?.coordinate;
    if (ours !== undefined && ours !== this.#payloadOf) {
      this.#payload = encodePingPayload(ours);
      this.#payloadOf = ours;
    }
    return this.#payload;
  }

  /**
   * The coordinate of a member, or our own.
   *
   * @returns `undefined` for whom we have not pinged, and when switched off
   */
  of(name: string): Coordinate | undefined {
    return name === this.#core.name
      ? this.#vivaldi?.coordinate
      : this.#peers.get(name);
  }

  /**
   * A member has answered a direct ping of ours. A payload that is empty, that is
   * not understood or that cannot be right changes nothing.
   *
   * @param peer a member; it is remembered until `forget`
   */
  pingCompleted(
    peer: string,
    answer: { readonly payload: Uint8Array; readonly rttMs: number },
    nowMs: number,
  ): void {
    const core = this.#core;
    if (this.#vivaldi === undefined || answer.payload.length === 0) return;
    const rttNs = Math.round(answer.rttMs * NS_PER_MS);
    try {
      const theirs = decodePingPayload(answer.payload);
      const before = this.#vivaldi.coordinate;
      const after = this.#vivaldi.update(peer, theirs, rttNs);
      this.#peers.set(peer, theirs);
      const movedNs = distanceNs(before, after);
      core.metrics.coordinateAdjustment.record(movedNs / NS_PER_MS);
      if (rttNs === 0) core.metrics.coordinateZeroRtt.add();
    } catch (error) {
      if (error instanceof WireError) core.refuse("ERR", error.detail, nowMs);
      else if (error instanceof CoordinateError) {
        core.metrics.coordinateRejected.add();
        core.log(
          "TRACE",
          `Rejected coordinate from ${peer}: ${error.message}`,
        );
      } else throw error;
    }
  }

  /** The member is erased. */
  forget(peer: string): void {
    this.#vivaldi?.forget(peer);
    this.#peers.delete(peer);
  }
}
