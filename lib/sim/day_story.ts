/**
 * Two days in the life of a small cluster: what happens by the clock, hours after
 * its cause.
 *
 * An *hour* is a 24th of the reconnect timeout, which is an hour of virtual time
 * unless the configuration says otherwise.
 *
 *     hour    0  n0 to n7 start
 *             1  n1 crashes for good                      reaped at 25
 *             2  n2 leaves                                reaped at 26
 *             4  n8 and n9, not met yet, are said to leave; n8 starts before
 *                that intent expires, n9 after
 *             5  n3 crashes
 *             6  n4 crashes; at 7 it is declared left      reaped at 30
 *          8-25  the tries to reach n1 and n3 are counted
 *          25.5  n5 leaves                                reaped at 49.5
 *            28  n3 is started alone: the others must find it
 *            31  n4 is started anew, and joins
 *          49.9  n5 is started anew, and joins
 *          50.5  all tables are as small as they were at hour 1
 *
 * Every observer must reap exactly whom it was told to be gone, once, after the
 * timeout that applies and at most one reap interval later.
 */

import type { MemberStatus } from "../serf/member.ts";
import { reconnectMs, spreadMs } from "./bounds.ts";
import type { Cluster } from "./cluster.ts";
import { Ledger, type Reap } from "./ledger.ts";
import { tryChances } from "./reconnects.ts";
import type { SimNode } from "./node.ts";
import type { SimEngine } from "./sim_engine.ts";
import { startPlan } from "./simulate.ts";
import { Stage, type StoryOptions, type StoryReport } from "./stories.ts";

/** Tries to reach a member that failed, by all members together. */
export interface Tries {
  readonly subject: string;
  readonly made: number;
  /** How many there should be, and the standard deviation of that. */
  readonly expected: number;
  readonly deviation: number;
}

/** How much the nodes hold and do, all of them together. */
export interface Levels {
  readonly members: number;
  readonly swimMembers: number;
  readonly failed: number;
  readonly left: number;
  readonly queued: number;
  /** Coordinates of members. */
  readonly coordinates: number;
  /** Least number of open streams, and of entries in the clock, in some seconds. */
  readonly streams: number;
  readonly planned: number;
  /** Inputs of engines, and bytes in packets, each per virtual second. */
  readonly inputs: number;
  readonly packetBytes: number;
  /** Bytes of one exchange of state, both ways. */
  readonly exchangeBytes: number;
}

export interface DayReport extends StoryReport {
  readonly reaps: readonly Reap[];
  readonly tries: readonly Tries[];
  /** How n0 first listed the two nodes that were said to leave. */
  readonly earlyStatus: MemberStatus | undefined;
  readonly lateStatus: MemberStatus | undefined;
  /** From the lonely start of n3 until everybody knew, and the bound for it, ms. */
  readonly foundAfterMs: number | undefined;
  readonly findMs: number;
  readonly before: Levels;
  readonly after: Levels;
}

/** Nodes, with the two that start late. */
export const DAY_NODES = 10;
const LATE_NODES = 2;
/** Virtual time over which the flow of a cluster is measured, hours. */
const LEVEL_HOURS = 0.5;
/** Looks at what is open at one moment, one a second. */
const LOOKS = 10;
const SECOND_MS = 1_000;
/** A number of tries this many standard deviations off is no accident. */
const DEVIATIONS_MAX = 5;
/**
 * By how much levels may differ at the end, as a share. Lamport times and sequence
 * numbers take more bytes by then; a packet may be on its way at any time.
 */
const LEVEL_SLACKS: Readonly<Partial<Record<keyof Levels, number>>> = {
  planned: 1,
  inputs: 0.01,
  packetBytes: 0.03,
  exchangeBytes: 0.03,
};

/** Measures for half an hour how much the nodes hold and do. */
function measure(cluster: Cluster, hourMs: number): Levels {
  const flow = () => {
    let packetBytes = 0;
    let streams = 0;
    let streamBytes = 0;
    for (const { traffic } of cluster.nodes) {
      packetBytes += traffic.bytesOut;
      streams += traffic.streamsOut;
      streamBytes += traffic.streamBytesOut;
    }
    return { inputs: cluster.inputs, packetBytes, streams, streamBytes };
  };
  const before = flow();
  const durationMs = LEVEL_HOURS * hourMs;
  cluster.runUntil(cluster.nowMs + durationMs);
  const after = flow();
  const perSecond = SECOND_MS / durationMs;

  let streams = Number.POSITIVE_INFINITY;
  let planned = Number.POSITIVE_INFINITY;
  for (let look = 0; look < LOOKS; look++) {
    cluster.runUntil(cluster.nowMs + SECOND_MS);
    const open = cluster.nodes.reduce(
      (sum, node) => sum + node.streams.size,
      0,
    );
    streams = Math.min(streams, open);
    planned = Math.min(planned, cluster.clock.size);
  }
  const sum = (countOf: (engine: SimEngine) => number) =>
    cluster.nodes.reduce(
      (total, { engine }) => total + (engine ? countOf(engine) : 0),
      0,
    );
  const stat = (engine: SimEngine, name: string) =>
    Number(engine.stats().get(name));
  return {
    members: sum((engine) => engine.members().length),
    swimMembers: sum((engine) => engine.swim.members().length),
    failed: sum((engine) => stat(engine, "failed")),
    left: sum((engine) => stat(engine, "left")),
    queued: sum((engine) =>
      engine.swim.queueDepth + stat(engine, "intent_queue") +
      stat(engine, "event_queue") + stat(engine, "query_queue")
    ),
    coordinates: sum((engine) =>
      cluster.nodes.filter(({ name }) => engine.coordinate(name)).length
    ),
    streams,
    planned,
    inputs: (after.inputs - before.inputs) * perSecond,
    packetBytes: (after.packetBytes - before.packetBytes) * perSecond,
    exchangeBytes: (after.streamBytes - before.streamBytes) /
      (after.streams - before.streams),
  };
}

/** Fifty hours of a small cluster. */
export function dayStory(options: Omit<StoryOptions, "nodes">): DayReport {
  const { settings = {} } = options;
  const stage = new Stage({
    ...options,
    nodes: DAY_NODES,
    settings: { ...settings, swim: { ...settings.swim, logLevel: "INFO" } },
  });
  const { cluster, views } = stage;
  const report = (rule: string, text: string) =>
    stage.checkers.report(rule, text);
  const config = cluster.configOf(cluster.node(0));
  const hourMs = config.reconnectTimeoutMs / 24;
  const ledger = new Ledger(cluster, {
    failedMs: config.reconnectTimeoutMs,
    leftMs: config.tombstoneTimeoutMs,
  }, report);
  const n = (index: number) => cluster.node(index);
  const first = n(0);
  const liveUntil = (hour: number, name: string) =>
    stage.play(name, hour * hourMs - cluster.nowMs);
  const declareLeft = (node: SimNode) =>
    cluster.call(first, (engine, nowMs) => {
      engine.forceLeave(node.name, { prune: false }, nowMs);
    });

  cluster.schedule(startPlan(DAY_NODES - LATE_NODES, { overMs: SECOND_MS }));
  liveUntil(1 - LEVEL_HOURS, "n0 to n7 start");
  const before = measure(cluster, hourMs);

  cluster.crash(n(1));
  liveUntil(2, "n1 has crashed");
  cluster.leave(n(2));
  liveUntil(4, "n2 has left");

  declareLeft(n(8));
  declareLeft(n(9));
  const saidMs = cluster.nowMs;
  const { recentIntentTimeoutMs, reapIntervalMs } = config;
  cluster.runUntil(saidMs + 0.9 * recentIntentTimeoutMs);
  cluster.start(n(8), [first]);
  cluster.runUntil(saidMs + recentIntentTimeoutMs + 1.1 * reapIntervalMs);
  cluster.start(n(9), [first]);

  liveUntil(5, "n8 and n9 were said to leave, and start");
  cluster.crash(n(3));
  liveUntil(6, "n3 has crashed");
  cluster.crash(n(4));
  liveUntil(7, "n4 has crashed");
  declareLeft(n(4));
  liveUntil(8, "n4 was declared left");

  const subjects = [n(1), n(3)];
  const chances = subjects.map((subject) =>
    tryChances(cluster, (name) => name === subject.name)
  );
  const intervals = 17 * hourMs / config.reconnectIntervalMs;
  const triedBefore = ledger.tried.length;
  liveUntil(25, "n1 and n3 are tried");
  const tried = ledger.tried.slice(triedBefore);
  const tries = subjects.map(({ name }, i): Tries => {
    const some = chances[i] as number[];
    const mean = some.reduce((sum, chance) => sum + chance, 0);
    const variance = some.reduce((sum, p) => sum + p * (1 - p), 0);
    return {
      subject: name,
      made: tried.filter((other) => other === name).length,
      expected: mean * intervals,
      deviation: Math.sqrt(variance * intervals),
    };
  });

  liveUntil(25.5, "n1 is forgotten");
  cluster.leave(n(5));
  liveUntil(28, "n5 has left, n2 is forgotten");

  const findMs =
    reconnectMs(config, tryChances(cluster, (name) => name === n(3).name)) +
    spreadMs(config, DAY_NODES);
  // Between the tries of n0, all of which are at whole intervals.
  cluster.runUntil(cluster.nowMs + config.reconnectIntervalMs / 10);
  cluster.restart(n(3), []);
  const found = stage.play(
    "n3 is found again",
    findMs,
    () => views.wrong === 0,
  );
  liveUntil(31, "n4 is forgotten");
  cluster.restart(n(4));
  liveUntil(49.9, "n4 is back, n5 is forgotten");
  cluster.restart(n(5));
  liveUntil(50.5 - LEVEL_HOURS, "n5 is back");
  const after = measure(cluster, hourMs);
  ledger.checkAges(reapIntervalMs);

  const day = {
    reaps: ledger.reaps,
    tries,
    earlyStatus: ledger.firstStatus(first, n(8).name),
    lateStatus: ledger.firstStatus(first, n(9).name),
    foundAfterMs: found.tookMs,
    findMs,
    before,
    after,
  };
  for (const text of complaints(day, reapIntervalMs)) report("story", text);
  return { ...stage.report(), ...day };
}

/** What of a run is not as the rules say, as sentences. */
function* complaints(
  day: Omit<DayReport, keyof StoryReport>,
  reapIntervalMs: number,
): Generator<string> {
  for (const { observer, subject, afterMs, timeoutMs } of day.reaps) {
    if (afterMs > timeoutMs && afterMs <= timeoutMs + reapIntervalMs) continue;
    yield `${observer} reaps ${subject} after ${afterMs} ms, not ${timeoutMs}`;
  }
  for (const { subject, made, expected, deviation } of day.tries) {
    if (Math.abs(made - expected) <= DEVIATIONS_MAX * deviation) continue;
    yield `${subject} is tried ${made} times, not ${expected} ± ${deviation}`;
  }
  if (day.earlyStatus !== "leaving") {
    yield `a leave intent is not remembered: ${day.earlyStatus}`;
  }
  if (day.lateStatus !== "alive") {
    yield `a leave intent is remembered too long: ${day.lateStatus}`;
  }
  for (const [what, before] of Object.entries(day.before)) {
    const after = day.after[what as keyof Levels];
    const slack = LEVEL_SLACKS[what as keyof Levels] ?? 0;
    if (Math.abs(after - before) <= slack * before) continue;
    yield `${what} went from ${before} to ${after}`;
  }
}
