/**
 * A cut that lasts two hours, and heals by the reconnect loop alone.
 *
 * Both sides call each other failed, and the layer below forgets the other side
 * entirely. Meanwhile life goes on: one member of the larger side leaves, one
 * crashes, and both sides send user events. After the cut is healed,
 *
 * - somebody tries to reach a member of the other side, within the time that the
 *   throttling of the loop allows (`reconnects.ts`, `reconnectMs`);
 * - gossip tells everybody else that everybody is alive again;
 * - exchanges of state carry the rest: who left and who failed meanwhile, and the
 *   user events of the other side, each of which arrives once.
 */

import type { MemberStatus } from "../serf/member.ts";
import { pushPullIntervalMs } from "../swim/push_pull.ts";
import { wrongLists } from "./agreement.ts";
import { detectionMs, exchangedMs, reconnectMs, spreadMs } from "./bounds.ts";
import type { SimNode } from "./node.ts";
import { tryChances } from "./reconnects.ts";
import { Stage, type StoryOptions, type StoryReport } from "./stories.ts";

export interface PartitionStoryOptions extends StoryOptions {
  /** Nodes on the smaller side, at least 1 and at most half of all. */
  readonly minority: number;
  /** How long the cut lasts, virtual hours. */
  readonly hours: number;
}

export interface PartitionReport extends StoryReport {
  /** Tries to reach the other side in one reconnect interval, on average. */
  readonly triesPerInterval: number;
  /** From the end of the cut until everybody knew that all live; `undefined` for never. */
  readonly healedAfterMs: number | undefined;
  /** Bound for it. */
  readonly healMs: number;
}

const HOUR_MS = 3_600_000;
const QUIET_MS = 60_000;
/** User events that each side sends during the cut. */
const EVENTS_PER_SIDE = 3;

/** A cluster is cut in two for hours, and grows together again. */
export function partitionStory(
  options: PartitionStoryOptions,
): PartitionReport {
  const { minority, hours, ...rest } = options;
  const stage = new Stage(rest);
  const { cluster, views, checkers } = stage;
  const { nodes } = options;
  const config = cluster.configOf(cluster.node(0));
  const isSmallSide = (index: number) => index < minority;

  stage.playStart();
  stage.play("quiet", QUIET_MS);

  const cutMs = cluster.nowMs;
  cluster.partition(
    cluster.nodes.map(({ index }) => isSmallSide(index) ? 1 : 0),
  );
  stage.play(
    "cut, sides found",
    detectionMs(config, nodes),
    () => views.wrong === 0,
  );
  const leaver = cluster.node(nodes - 1);
  const victim = cluster.node(nodes - 2);
  cluster.leave(leaver);
  cluster.crash(victim);
  stage.play("one left, one crashed", detectionMs(config, nodes));
  const events = sendEvents(stage, [cluster.node(0), cluster.node(minority)]);
  stage.play("cut", cutMs + hours * HOUR_MS - cluster.nowMs);

  const chances = tryChances(cluster, (name, observer) => {
    const subject = cluster.byName(name);
    return subject !== undefined && subject.isServing &&
      isSmallSide(subject.index) !== isSmallSide(observer);
  });
  // Whom gossip misses learns it in its next exchange, since all others know.
  const { pushPullIntervalMs: exchangeMs } = config.swim.profile;
  const healMs = reconnectMs(config, chances) + spreadMs(config, nodes) +
    pushPullIntervalMs(exchangeMs, nodes);
  cluster.heal();
  const healed = stage.play("healed", healMs, () => views.wrong === 0);

  const serving = cluster.nodes.filter(({ isServing }) => isServing);
  stage.play(
    "events of both sides known",
    exchangedMs(config, nodes),
    () => events.every((name) => views.delivered(name) === serving.length),
  );
  // Who has left is told by the same exchanges; one round is looked at at a time.
  const deadlineMs = cluster.nowMs + exchangedMs(config, nodes);
  const areRight = () =>
    isListed(serving, leaver, "left") && isListed(serving, victim, "failed");
  while (!areRight() && cluster.nowMs < deadlineMs) {
    cluster.runUntil(cluster.nowMs + config.reconnectIntervalMs);
  }
  if (!areRight()) {
    checkers.report("story", "not everybody lists who left and who failed");
  }
  for (const text of wrongLists(cluster, 3)) checkers.report("story", text);
  return {
    ...stage.report(),
    triesPerInterval: chances.reduce((sum, chance) => sum + chance, 0),
    healedAfterMs: healed.tookMs,
    healMs,
  };
}

/** Each of the senders sends a few events; their names. */
function sendEvents(
  { cluster }: Stage,
  senders: readonly SimNode[],
): string[] {
  const names: string[] = [];
  for (let i = 0; i < EVENTS_PER_SIDE; i++) {
    for (const { index, name: sender } of senders) {
      const name = `${sender} event ${i}`;
      cluster.perform({ kind: "userEvent", node: index, name });
      names.push(name);
    }
    cluster.runUntil(cluster.nowMs + QUIET_MS);
  }
  return names;
}

function isListed(
  observers: readonly SimNode[],
  subject: SimNode,
  status: MemberStatus,
): boolean {
  return observers.every(({ engine }) =>
    engine?.members().some((member) =>
      member.name === subject.name && member.status === status
    )
  );
}
