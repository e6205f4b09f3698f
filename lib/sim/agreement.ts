/**
 * Whether nodes that have nothing to do with faults any more hold the same.
 *
 * It looks at everything through the engines themselves, which costs a look at
 * every pair; `views.ts` says cheaply when that is worth while.
 */

import type { Member, MemberStatus } from "../serf/member.ts";
import type { Cluster } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import type { SimEngine } from "./sim_engine.ts";

/**
 * What serving nodes disagree about, as sentences: who is alive, at which
 * incarnation, with which tags, and whether anybody still has something to say.
 *
 * @param limit most sentences wanted
 * @returns empty when all agree
 */
export function disagreements(cluster: Cluster, limit: number): string[] {
  return gather(cluster, limit, function* (observer, engine) {
    yield* untoldNews(cluster, observer, engine);
    yield* wrongStatuses(cluster, observer, engine);
    yield* oldNews(cluster, observer, engine);
  });
}

/** The same about statuses alone: whether everybody lists everybody as they are. */
export function wrongLists(cluster: Cluster, limit: number): string[] {
  return gather(
    cluster,
    limit,
    (observer, engine) => wrongStatuses(cluster, observer, engine),
  );
}

function gather(
  cluster: Cluster,
  limit: number,
  look: (observer: SimNode, engine: SimEngine) => Iterable<string>,
): string[] {
  const found: string[] = [];
  for (const observer of cluster.nodes) {
    if (!observer.isServing || observer.engine === undefined) continue;
    for (const text of look(observer, observer.engine)) {
      found.push(text);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

function* untoldNews(
  cluster: Cluster,
  observer: SimNode,
  engine: SimEngine,
): Generator<string> {
  const waiting = engine.swim.queueDepth;
  const hasListeners = cluster.nodes.some((node) =>
    node !== observer && node.isServing
  );
  if (waiting > 0 && hasListeners) {
    yield `${observer.name} still has ${waiting} broadcasts to send`;
  }
}

function* wrongStatuses(
  cluster: Cluster,
  observer: SimNode,
  engine: SimEngine,
): Generator<string> {
  const listed = new Map<string, MemberStatus>();
  for (const { name, status } of engine.members()) listed.set(name, status);
  for (const subject of cluster.nodes) {
    const status = listed.get(subject.name) ?? "none";
    const isRight = subject.isServing
      ? isAlive(status, subject)
      : status === "failed" || status === "left" || status === "none";
    if (!isRight) {
      const truth = subject.isServing ? "alive" : "gone";
      yield `${observer.name} lists ${subject.name} ${status}, which is ${truth}`;
    }
  }
}

/** Live members whose last word has not arrived. */
function* oldNews(
  cluster: Cluster,
  observer: SimNode,
  engine: SimEngine,
): Generator<string> {
  const tags = new Map<string, Member["tags"]>();
  for (const member of engine.members()) tags.set(member.name, member.tags);
  for (const subject of cluster.nodes) {
    const { name } = subject;
    if (!subject.isServing || subject.engine === undefined) continue;
    const own = subject.engine.swim.member(name);
    const held = engine.swim.member(name);
    if (held?.incarnation !== own?.incarnation || held?.state !== "alive") {
      yield `${observer.name} holds ${name} ${held?.state}@${held?.incarnation}, which is alive@${own?.incarnation}`;
    } else if (!isSameTags(tags.get(name), subject.engine.localMember().tags)) {
      yield `${observer.name} holds old tags of ${name}`;
    }
  }
}

/**
 * A node that left and came back may be listed as leaving for good. A push/pull
 * with somebody who has not heard of its return brings the old leave back; the
 * returned node is not told and so cannot refute. Serf has this in its protocol:
 * what comes from a push/pull is not passed on, and statuses that say leaving
 * are not sent.
 */
function isAlive(status: MemberStatus, subject: SimNode): boolean {
  return status === "alive" || (status === "leaving" && subject.hasLeft);
}

function isSameTags(
  a: Member["tags"] | undefined,
  b: Member["tags"],
): boolean {
  return a?.size === b.size &&
    [...b].every(([key, value]) => a.get(key) === value);
}
