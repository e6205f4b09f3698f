/**
 * The mechanisms of an engine without its SWIM layer, for tests of one of them.
 */

import assert from "node:assert/strict";
import { Metrics } from "../../lib/kit/metrics.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { Coordinates } from "../../lib/serf/coordinates.ts";
import { SerfCore } from "../../lib/serf/core.ts";
import type { Output } from "../../lib/serf/event.ts";
import { RecentIntents } from "../../lib/serf/intent.ts";
import { OwnIntents } from "../../lib/serf/own_intent.ts";
import { PushPulls } from "../../lib/serf/push_pull.ts";
import { Queries } from "../../lib/serf/query.ts";
import { Queues } from "../../lib/serf/queues.ts";
import { Roster } from "../../lib/serf/roster.ts";
import { UserEvents } from "../../lib/serf/user_event.ts";
import type { HostReply } from "../../lib/swim/replies.ts";
import { MessageType, type NodeDescriptor } from "../../lib/wire/messages.ts";
import type { Keyring } from "../../lib/wire/keyring.ts";
import { encodeTags } from "../../lib/wire/serf_messages.ts";
import { eventLine, replyLine } from "./cluster.ts";

export const SELF = "self";

export type SerfOptions = Omit<Parameters<typeof serfConfig>[0], "swim">;

/** A node's own description; the last byte of its address tells it apart. */
export function nodeOf(
  name: string,
  lastByte = 1,
  tags: ReadonlyMap<string, string> = new Map(),
): NodeDescriptor {
  return {
    name,
    addr: Uint8Array.of(10, 0, 0, lastByte),
    port: 7946,
    meta: encodeTags(tags, 5),
    vsn: Uint8Array.of(1, 5, 2, 2, 5, 5),
  };
}

/** The Serf message in a user message of the SWIM layer. */
export function bodyOf(bytes: Uint8Array): Uint8Array {
  assert.equal(bytes[0], MessageType.user);
  return bytes.subarray(1);
}

/** Mechanisms that share one core. Time is whatever a test says. */
export class Parts {
  readonly metrics = new Metrics();
  readonly core: SerfCore;
  readonly recent = new RecentIntents();
  readonly coordinates: Coordinates;
  readonly roster: Roster;
  readonly queues: Queues;
  readonly userEvents: UserEvents;
  readonly queries: Queries;
  /** Datagrams that were sent, as `address` and Serf message. */
  readonly answersSent: { to: string; body: Uint8Array }[] = [];
  /** What the SWIM layer does not let us send any more. */
  readonly refusedReplies = new Set<HostReply>();
  /** Members that the SWIM layer holds for alive. */
  liveCount = 1;
  /** Our tags, as far as queries are concerned. */
  tags: ReadonlyMap<string, string> = new Map();
  /** Instants at which a vote about our name was lost. */
  readonly lostAtMs: number[] = [];
  readonly intents: OwnIntents;
  readonly pushPulls: PushPulls;
  #outputs: Output[] = [];

  constructor(
    options: SerfOptions = {},
    swim: { keyring?: Keyring; name?: string } = {},
  ) {
    const liveCount = () => this.liveCount;
    const config = serfConfig({
      swim: {
        name: SELF,
        advertiseAddr: Uint8Array.of(10, 0, 0, 0),
        advertisePort: 7946,
        logLevel: "DEBUG",
        ...swim,
      },
      ...options,
    });
    this.core = new SerfCore(config, new Random(1), this.metrics);
    this.coordinates = new Coordinates(this.core);
    this.roster = new Roster(this.core, this.coordinates, this.recent);
    this.queues = new Queues(this.core, 1_396);
    this.userEvents = new UserEvents(this.core);
    this.queries = new Queries({
      core: this.core,
      swim: {
        get liveCount() {
          return liveCount();
        },
        mayReply: (kind) => !this.refusedReplies.has(kind),
        sendUserMessage: (to, body) => this.answersSent.push({ to, body }),
      },
      roster: this.roster,
      queues: this.queues,
      compile: undefined,
      ownTags: () => this.tags,
      onNameLost: (nowMs) => this.lostAtMs.push(nowMs),
    });
    this.intents = new OwnIntents(this.core, this.roster, this.queues);
    this.pushPulls = new PushPulls(this.core, this.roster, this.userEvents);
  }

  /** Fires the timers that are due, of those that a roster or a query sets. */
  fireTimers(nowMs: number): void {
    const { deadlines } = this.core;
    for (
      let timer = deadlines.takeDue(nowMs);
      timer !== undefined;
      timer = deadlines.takeDue(nowMs)
    ) {
      if (timer.kind === "prune") this.roster.pruneDue(timer.name, nowMs);
      if (timer.kind === "queryEnd") this.queries.timedOut(timer.ltime, nowMs);
    }
  }

  /** Lines of the events since the last call. */
  takeEvents(): string[] {
    return this.#take("event").map(({ event }) => eventLine(event));
  }

  /** Log lines since the last call. */
  takeLog(): string[] {
    return this.#take("log").map(({ level, text }) => `[${level}] ${text}`);
  }

  /** Replies to queries, and their ends, since the last call. */
  takeReplies(): string[] {
    return this.#take("queryReply", "done").map(replyLine);
  }

  /** Outputs of that kind since the last call. */
  take<K extends Output["kind"]>(kind: K): Extract<Output, { kind: K }>[] {
    return this.#take(kind);
  }

  #take<K extends Output["kind"]>(
    ...kinds: K[]
  ): Extract<Output, { kind: K }>[] {
    this.#outputs.push(...this.core.drain());
    const isWanted = (
      output: Output,
    ): output is Extract<Output, { kind: K }> =>
      (kinds as string[]).includes(output.kind);
    const taken = this.#outputs.filter(isWanted);
    this.#outputs = this.#outputs.filter((output) => !isWanted(output));
    return taken;
  }
}
