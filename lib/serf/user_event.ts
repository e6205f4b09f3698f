/**
 * User events: what may be sent, which are new, and what a push/pull replays.
 *
 * An event is recognised by Lamport time, name and payload; the ring remembers
 * those of the last `eventBuffer` times. The ring is also what a joining node is
 * told of the past.
 *
 * Upstream sets no limit to what one Lamport time may hold. Here a time holds at
 * most `EVENTS_PER_LTIME_MAX` events; more are dropped and logged. The whole ring
 * holds at most `RING_BYTES_MAX`; beyond it the oldest events are forgotten and
 * count as too old from then on. See `ltime_ring.ts`.
 *
 * Source: serf `serf.go` (UserEvent, handleUserEvent).
 */

import { utf8Bytes } from "../kit/bytes.ts";
import {
  encodeSerfMessage,
  type EventGroup,
  type UserEventMessage,
} from "../wire/serf_messages.ts";
import type { SerfCore } from "./core.ts";
import { LTimeRing } from "./ltime_ring.ts";

/** Most different events with one Lamport time. */
const EVENTS_PER_LTIME_MAX = 1_024;
/**
 * Most bytes of names and payloads remembered. A push/pull carries them all, and
 * peers refuse one above 20 MiB.
 */
const RING_BYTES_MAX = 4 * 1_024 * 1_024;
/** What remembering an event costs beside its text, roughly, bytes. */
const EVENT_OVERHEAD_BYTES = 64;

interface SeenEvent {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly key: string;
}

/** An event of another member, or of ours. */
interface ArrivedEvent {
  readonly ltime: bigint;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly coalesce: boolean;
}

export class UserEvents {
  readonly #core: SerfCore;
  readonly #ring: LTimeRing<SeenEvent>;
  /** Of the clock, as far as we have followed it. */
  #wraps = 0;
  /** Earlier events are none of our business. */
  #minTime = 0n;

  constructor(core: SerfCore) {
    this.#core = core;
    this.#ring = new LTimeRing({
      slots: core.config.eventBuffer,
      itemsPerTimeMax: EVENTS_PER_LTIME_MAX,
      weightMax: RING_BYTES_MAX,
      weigh: ({ name, payload }) =>
        name.length + payload.length + EVENT_OVERHEAD_BYTES,
      keyOf: ({ key }) => key,
    });
  }

  /** Events before this time are dropped without a word. */
  get minTime(): bigint {
    return this.#minTime;
  }

  /** From now on ignores events before `ltime`. */
  ignoreBefore(ltime: bigint): void {
    if (ltime > this.#minTime) this.#minTime = ltime;
  }

  /** The whole ring, for a push/pull. */
  groups(): (EventGroup | undefined)[] {
    return this.#ring.groups.map((group) =>
      group && { ltime: group.ltime, events: group.items }
    );
  }

  /**
   * Makes an event of our own, delivers it, and returns the message to gossip.
   *
   * Upstream has two more checks, against 9216 bytes; `serfConfig` sees to it
   * that the configured limit is never above that.
   *
   * @throws {RangeError} when it is too long; nothing has changed
   */
  send(
    event: { name: string; payload: Uint8Array; coalesce: boolean },
    nowMs: number,
  ): Uint8Array {
    const { eventClock, config } = this.#core;
    const limit = config.userEventBytesMax;
    const { payload } = event;
    if (utf8Bytes(event.name).length + payload.length > limit) {
      throw new RangeError(
        `user event exceeds configured limit of ${limit} bytes before encoding`,
      );
    }
    const message: UserEventMessage = {
      kind: "userEvent",
      ltime: eventClock.time,
      name: event.name,
      payload,
      coalesce: event.coalesce,
    };
    const body = encodeSerfMessage(message);
    if (body.length > limit) {
      throw new RangeError(
        `encoded user event exceeds configured limit of ${limit} bytes after encoding`,
      );
    }
    eventClock.increment();
    this.arrived(message, nowMs);
    return body;
  }

  /**
   * Delivers an event if it is new. It is kept, its payload as a copy.
   *
   * @returns whether it was, and so is passed on
   */
  arrived(event: ArrivedEvent, nowMs: number): boolean {
    const core = this.#core;
    const { ltime, name } = event;
    core.eventClock.witness(ltime);
    this.#followClock();
    if (ltime < this.#minTime) return false;
    const clockTime = core.eventClock.time;
    if (this.#ring.isOld(ltime, clockTime)) {
      core.metrics.eventsDropped.add();
      core.refuse(
        "WARN",
        `received old event ${name} from time ${ltime} (current: ${clockTime})`,
        nowMs,
      );
      return false;
    }
    const key = keyOf(event);
    if (this.#ring.has(ltime, key)) return false;
    const payload = event.payload.slice();
    if (!this.#ring.add(ltime, { name, payload, key })) {
      core.metrics.eventsDropped.add();
      core.refuse(
        "WARN",
        `too many events at time ${ltime}, dropping ${name}`,
        nowMs,
      );
      return false;
    }
    core.metrics.userEvents.add(name);
    core.deliver({
      type: "user",
      ltime,
      name,
      payload,
      coalesce: event.coalesce,
    }, nowMs);
    return true;
  }

  /** After a wrap of the clock, what was seen before says nothing any more. */
  #followClock(): void {
    const { wraps } = this.#core.eventClock;
    if (wraps === this.#wraps) return;
    this.#wraps = wraps;
    this.#ring.restart();
    this.#minTime = 0n;
  }
}

const latin1 = new TextDecoder("latin1");

/**
 * Name and payload as one text. Comparing payloads with each of a thousand events
 * of one time would be work that a sender gets almost for nothing.
 */
function keyOf({ name, payload }: ArrivedEvent): string {
  return `${name.length}:${name}${latin1.decode(payload)}`;
}
