/**
 * The full exchange of state: when it happens, and what becomes of a remote one.
 *
 * Gossip spreads news; push/pull repairs what gossip missed, and lets a joining
 * node learn everything at once. How the bytes travel is `streams.ts`.
 *
 * Source: memberlist `state.go` (pushPullTrigger, mergeState), `memberlist.go`
 * (verifyProtocol), `util.go` (pushPullScale).
 */

import type { NodeState, PushPull } from "../wire/messages.ts";
import type { Claims } from "./claims.ts";
import type { SwimCore } from "./core.ts";
import type { Member } from "./member.ts";

/** Clusters up to this size exchange at the plain interval. */
const SCALE_THRESHOLD = 32;

/**
 * Time between our push/pulls, ms: one more interval for each doubling of the
 * cluster above 32 members, so that the exchanges, whose size grows with the
 * cluster, do not take over.
 */
export function pushPullIntervalMs(
  intervalMs: number,
  members: number,
): number {
  if (members <= SCALE_THRESHOLD) return intervalMs;
  const doublings = Math.ceil(Math.log2(members) - Math.log2(SCALE_THRESHOLD));
  return intervalMs * (doublings + 1);
}

/** Everything that we hold, for the other side. */
export function makePushPull(core: SwimCore, isJoin: boolean): PushPull {
  const states = core.members.all().map(stateOf);
  countStates(core, states);
  return {
    kind: "pushPull",
    join: isJoin,
    states,
    userState: core.host.localState(isJoin),
  };
}

function stateOf(member: Member): NodeState {
  const { node, incarnation, state } = member;
  return { node, incarnation, state };
}

/** Counting them costs little beside sending them, which is when upstream does. */
function countStates(
  { metrics }: SwimCore,
  states: readonly NodeState[],
): void {
  const counts = { alive: 0, suspect: 0, dead: 0, left: 0 };
  for (const { state } of states) if (state !== undefined) counts[state]++;
  metrics.nodesAlive.set(counts.alive);
  metrics.nodesSuspect.set(counts.suspect);
  metrics.nodesDead.set(counts.dead);
  metrics.nodesLeft.set(counts.left);
}

/**
 * Takes over what the other side holds.
 *
 * The claims of others about deaths are only suspicions here: the member gets
 * the chance to refute. A leave needs no such chance; only its owner says it.
 *
 * @param spreadShare share of the members that we did not know, 0 to 1, that are
 * gossiped on, chosen at random
 * @param isReply whether we have asked for it, and chosen whom to ask
 * @returns why the whole exchange is refused; nothing was changed then
 */
export function mergePushPull(
  core: SwimCore,
  claims: Claims,
  remote: PushPull,
  nowMs: number,
  spreadShare = 1,
  isReply = false,
): string | undefined {
  const problem = protocolProblem(core, remote.states) ??
    mergeProblem(core, remote);
  if (problem !== undefined) return problem;

  for (const { node, incarnation, state } of remote.states) {
    const { name } = node;
    if (!isReply && claims.refusesIncarnation(name, incarnation, nowMs)) {
      continue;
    }
    const spread = spreadShare >= 1 || core.random.chance(spreadShare);
    switch (state) {
      case "alive":
        claims.alive({ kind: "alive", incarnation, node }, nowMs, spread);
        break;
      case "left":
        claims.dead(
          { kind: "dead", incarnation, node: name, from: name },
          nowMs,
        );
        break;
      case "dead":
      case "suspect": {
        const from = core.config.name;
        claims.suspect(
          { kind: "suspect", incarnation, node: name, from },
          nowMs,
        );
        break;
      }
      case undefined:
        break;
    }
  }
  if (remote.userState.length > 0) {
    core.emitEvent({
      type: "remoteState",
      body: remote.userState,
      isJoin: remote.join,
      isReply,
    });
  }
  return undefined;
}

/** The layer above may refuse a join because of one member in it. */
function mergeProblem(core: SwimCore, remote: PushPull): string | undefined {
  if (!remote.join) return undefined;
  for (const { node } of remote.states) {
    const problem = core.host.refuseMember(node);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Places of the two version triples within the six version bytes. */
const PROTOCOL = 0;
const DELEGATE = 3;

/**
 * Whether everybody would still understand everybody: each member's spoken
 * version must lie in the range that all live members understand.
 */
function protocolProblem(
  core: SwimCore,
  states: readonly NodeState[],
): string | undefined {
  const live: Uint8Array[] = [];
  for (const { node, state } of states) {
    if (state === "alive" && node.vsn.length === 6) live.push(node.vsn);
  }
  for (const member of core.members.all()) {
    if (member.state === "alive") live.push(member.node.vsn);
  }
  const protocol = commonRange(live, PROTOCOL);
  const delegate = commonRange(live, DELEGATE);

  const problemOf = (name: string, vsn: Uint8Array): string | undefined => {
    const spoken = vsn[PROTOCOL + 2] ?? 0;
    const spokenAbove = vsn[DELEGATE + 2] ?? 0;
    if (spoken < protocol.min || spoken > protocol.max) {
      return `Node '${name}' protocol version (${spoken}) is incompatible: [${protocol.min}, ${protocol.max}]`;
    }
    if (spokenAbove < delegate.min || spokenAbove > delegate.max) {
      return `Node '${name}' delegate protocol version (${spokenAbove}) is incompatible: [${delegate.min}, ${delegate.max}]`;
    }
    return undefined;
  };
  for (const { node } of states) {
    const problem = problemOf(node.name, node.vsn);
    if (problem !== undefined) return problem;
  }
  for (const member of core.members.all()) {
    const problem = problemOf(member.name, member.node.vsn);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Versions that all of them understand. */
function commonRange(
  all: readonly Uint8Array[],
  offset: number,
): { min: number; max: number } {
  let min = 0;
  let max = 255;
  for (const vsn of all) {
    min = Math.max(min, vsn[offset] ?? 0);
    max = Math.min(max, vsn[offset + 1] ?? 0);
  }
  return { min, max };
}
