/**
 * Holds events back for a moment, so that the application hears of ten joins in
 * one event instead of ten.
 *
 * A *window* opens with the first event held. It ends after the coalesce period,
 * or earlier once nothing came for the quiescent period. What no coalescer
 * handles passes at once, and so overtakes what is held.
 *
 * - Members: of each member the latest event counts, and it is told only if it
 *   differs in type from what was last told of that member. Updates are always
 *   told. A member that fails and comes back within a window is never mentioned.
 * - User events that allow it: of each name only those with the newest Lamport
 *   time are told.
 *
 * Upstream never clears what it recorded of a member, so that an update is told
 * again at the end of every later window. Here a record is told once.
 *
 * Source: serf `coalesce.go`, `coalesce_member.go`, `coalesce_user.go`.
 */

import type { Deadline, Deadlines } from "../kit/deadlines.ts";
import type { SerfConfig } from "./config.ts";
import type {
  MemberEvent,
  MemberEventType,
  SerfEvent,
  UserEvent,
} from "./event.ts";
import type { Member } from "./member.ts";
import type { Timer } from "./timer.ts";

/** Most records held in a window; the one that fills it ends the window. */
const HELD_MAX = 8_192;

/** What to hold and what to tell; it knows nothing of time. */
interface Coalescer<E> {
  /** How many records are held. */
  readonly size: number;
  add(event: E): void;
  /** Ends the window: what is to be told, in order. */
  flush(): E[];
}

interface HeldMember {
  readonly type: MemberEventType;
  readonly member: Member;
}

export class MemberCoalescer implements Coalescer<MemberEvent> {
  readonly #held = new Map<string, HeldMember>();
  /** By name; an entry leaves with its member, so it grows with the cluster only. */
  readonly #lastTold = new Map<string, MemberEventType>();

  get size(): number {
    return this.#held.size;
  }

  add(event: MemberEvent): void {
    for (const member of event.members) {
      this.#held.set(member.name, { type: event.type, member });
    }
  }

  /** One event per type; types and members in the order in which they came. */
  flush(): MemberEvent[] {
    const membersByType = new Map<MemberEventType, Member[]>();
    for (const [name, { type, member }] of this.#held) {
      const isNews = type === "member-update" ||
        this.#lastTold.get(name) !== type;
      if (type === "member-reap") this.#lastTold.delete(name);
      else this.#lastTold.set(name, type);
      if (!isNews) continue;
      const members = membersByType.get(type);
      if (members === undefined) membersByType.set(type, [member]);
      else members.push(member);
    }
    this.#held.clear();
    return [...membersByType].map(([type, members]) => ({ type, members }));
  }
}

export class UserEventCoalescer implements Coalescer<UserEvent> {
  /** By event name; all events of one entry have the same time. */
  readonly #held = new Map<string, UserEvent[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(event: UserEvent): void {
    const held = this.#held.get(event.name);
    const newest = held?.[0]?.ltime;
    if (held === undefined || newest === undefined || event.ltime > newest) {
      this.#size += 1 - (held?.length ?? 0);
      this.#held.set(event.name, [event]);
    } else if (event.ltime === newest) {
      this.#size++;
      held.push(event);
    }
  }

  /** All events held; those of one name in the order in which they came. */
  flush(): UserEvent[] {
    const events = [...this.#held.values()].flat();
    this.#held.clear();
    this.#size = 0;
    return events;
  }
}

interface WindowOptions<E> {
  readonly coalescer: Coalescer<E>;
  readonly coalescePeriodMs: number;
  readonly quiescentPeriodMs: number;
  /** Row that the owner answers with `flush`. */
  readonly timer: Timer;
  readonly deadlines: Deadlines<Timer>;
  tell(event: E): void;
}

/** A coalescer with its window. */
class CoalesceWindow<E> {
  readonly #options: WindowOptions<E>;
  #end: Deadline<Timer> | undefined;
  #latestEndMs = 0;

  constructor(options: WindowOptions<E>) {
    this.#options = options;
  }

  hold(event: E, nowMs: number): void {
    const { coalescer, deadlines, timer } = this.#options;
    coalescer.add(event);
    if (coalescer.size >= HELD_MAX) {
      this.flush();
      return;
    }
    if (this.#end === undefined) {
      this.#latestEndMs = nowMs + this.#options.coalescePeriodMs;
      this.#end = deadlines.add(this.#latestEndMs, timer);
    }
    const quietMs = nowMs + this.#options.quiescentPeriodMs;
    deadlines.move(this.#end, Math.min(this.#latestEndMs, quietMs));
  }

  flush(): void {
    if (this.#end !== undefined) this.#options.deadlines.delete(this.#end);
    this.#end = undefined;
    for (const event of this.#options.coalescer.flush()) {
      this.#options.tell(event);
    }
  }
}

/** The way of every event from the engine to the application. */
export class EventPipeline {
  readonly #tell: (event: SerfEvent) => void;
  readonly #members: CoalesceWindow<MemberEvent> | undefined;
  readonly #userEvents: CoalesceWindow<UserEvent> | undefined;

  /** @param tell where events come out */
  constructor(
    config: SerfConfig,
    deadlines: Deadlines<Timer>,
    tell: (event: SerfEvent) => void,
  ) {
    this.#tell = tell;
    if (config.coalescePeriodMs > 0 && config.quiescentPeriodMs > 0) {
      this.#members = new CoalesceWindow<MemberEvent>({
        coalescer: new MemberCoalescer(),
        coalescePeriodMs: config.coalescePeriodMs,
        quiescentPeriodMs: config.quiescentPeriodMs,
        timer: { kind: "flushMembers" },
        deadlines,
        tell,
      });
    }
    if (config.userCoalescePeriodMs > 0 && config.userQuiescentPeriodMs > 0) {
      this.#userEvents = new CoalesceWindow<UserEvent>({
        coalescer: new UserEventCoalescer(),
        coalescePeriodMs: config.userCoalescePeriodMs,
        quiescentPeriodMs: config.userQuiescentPeriodMs,
        timer: { kind: "flushUserEvents" },
        deadlines,
        tell,
      });
    }
  }

  deliver(event: SerfEvent, nowMs: number): void {
    if (event.type === "query") {
      this.#tell(event);
    } else if (event.type !== "user") {
      if (this.#members === undefined) this.#tell(event);
      else this.#members.hold(event, nowMs);
    } else if (event.coalesce && this.#userEvents !== undefined) {
      this.#userEvents.hold(event, nowMs);
    } else {
      this.#tell(event);
    }
  }

  flushMembers(): void {
    this.#members?.flush();
  }

  flushUserEvents(): void {
    this.#userEvents?.flush();
  }
}
