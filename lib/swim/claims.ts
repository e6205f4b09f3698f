/**
 * What becomes of a claim about a member: alive, suspect, dead, and our answer
 * when the claim is about ourselves.
 *
 * `member.ts` says which claim wins (`precedence`); this file carries the winner
 * out: it changes the member table, passes the claim on, starts and ends
 * suspicions, tells the layer above, and refutes. Claims come from packets, from
 * push/pulls, from our own probes and from expired suspicions.
 *
 * Source: memberlist `state.go` (aliveNode, suspectNode, deadNode, refute).
 */

import { isSameIp } from "../kit/address.ts";
import { equalBytes } from "../kit/bytes.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import type { Alive, Dead, NodeDescriptor, Suspect } from "../wire/messages.ts";
import { META_BYTES_MAX } from "./config.ts";
import type { SwimCore } from "./core.ts";
import { SWIM_LIMITS } from "./limits.ts";
import {
  type Descriptor,
  Member,
  precedence,
  type RunningSuspicion,
  type SuspicionTimer,
} from "./member.ts";
import { Suspicion, suspicionTimeoutMs } from "./suspicion.ts";
import { NAME_LENGTH_MAX } from "./name_limit.ts";

/**
 * How often a doubtful suspect is asked before it is called dead, one probe
 * timeout apart: with a fifth of all packets lost, all but one in 160 hear the
 * answer.
 */
const LAST_ASKS = 5;
/** The last one; unsigned 32 bits. */
const INCARNATION_MAX = 0xffff_ffff;
/** How far above what we know an incarnation may be from `farIncarnation` on. */
const FAR_WINDOW = 1_024;

/** What follows an incarnation. The last is followed by 1, since 0 stands for none. */
function nextIncarnation(incarnation: number): number {
  return incarnation === INCARNATION_MAX ? 1 : incarnation + 1;
}

/** Protocol versions in an alive message. */
const VSN_BYTES = 6;

/**
 * Encodings of claims that were passed on. The claims of recent packets are
 * shared by all engines of a process, and so are their encodings then.
 */
const encodings = new WeakMap<Alive | Suspect | Dead, Uint8Array>();

function encodeOnce(claim: Alive | Suspect | Dead): Uint8Array {
  let bytes = encodings.get(claim);
  if (bytes === undefined) {
    bytes = encodeMessage(claim);
    encodings.set(claim, bytes);
  }
  return bytes;
}

export class Claims {
  readonly #core: SwimCore;

  constructor(core: SwimCore) {
    this.#core = core;
  }

  // --- Ourselves ------------------------------------------------------------

  /**
   * Announces ourselves under the next incarnation, with fresh meta.
   *
   * @param token finishes when the announcement was gossiped
   */
  announce(nowMs: number, token?: number): void {
    const core = this.#core;
    core.incarnation = nextIncarnation(core.incarnation);
    const node = core.describeSelf();
    const claim: Alive = { kind: "alive", incarnation: core.incarnation, node };
    let { self } = core;
    if (self === undefined) {
      self = new Member(node);
      core.members.add(self);
    }
    this.#becomeAlive(self, claim, node, nowMs, { token });
  }

  /** Declares ourselves gone. Only after `core.isLeaving` was set. */
  leave(nowMs: number, token: number): void {
    const core = this.#core;
    const { name } = core.config;
    this.#becomeDead(
      {
        kind: "dead",
        node: name,
        from: name,
        incarnation: core.incarnation,
      },
      nowMs,
      token,
    );
  }

  /**
   * Proves that we live: a newer incarnation than the accusation names, told to
   * all. Having to do so is a sign that we are slow (Lifeguard).
   *
   * Nothing is newer than the last incarnation. Members that believe it of us call
   * us dead, and take us in again as soon as they have forgotten us. Those that do
   * not believe it still know us by our own, which we keep.
   */
  #refute(accusedIncarnation: number, nowMs: number): void {
    const core = this.#core;
    const self = core.self;
    if (self === undefined) return;
    const isLast = accusedIncarnation === INCARNATION_MAX;
    if (isLast && core.incarnation < INCARNATION_MAX) return;
    core.incarnation = nextIncarnation(
      Math.max(core.incarnation, accusedIncarnation),
    );
    self.incarnation = core.incarnation;
    core.awareness.apply(1);
    core.metrics.refuted.add();
    this.#broadcastAlive(self, {
      kind: "alive",
      incarnation: core.incarnation,
      node: self.node,
    });
    this.#endSuspicion(self);
    if (!self.isLive) core.members.setState(self, "alive", nowMs);
  }

  /**
   * Refuses an incarnation of others that is too high to be right. It is believed
   * of a member that we have asked ourselves (`push_pull.ts`): members of other
   * kinds believe any, and go on from there.
   *
   * @returns whether it was refused
   */
  refusesIncarnation(
    name: string,
    incarnation: number,
    nowMs: number,
  ): boolean {
    const core = this.#core;
    const { farIncarnation } = core.config.limits ?? SWIM_LIMITS;
    if (incarnation < farIncarnation) return false;
    const known = core.isSelf(name)
      ? core.incarnation
      : core.members.get(name)?.incarnation ?? 0;
    if (incarnation <= known + FAR_WINDOW) return false;
    core.metrics.incarnationsRefused.add();
    core.refuse(
      "WARN",
      `ignoring incarnation ${incarnation} of '${name}', which is too far ahead (known: ${known})`,
      nowMs,
    );
    return true;
  }

  /**
   * Somebody still passes on an accusation that we have refuted: shows the proof
   * to the member that it came from, which seems to have missed it.
   */
  #answerStaleClaim(
    claim: Suspect | Dead,
    from: string | undefined,
    nowMs: number,
  ): void {
    const core = this.#core;
    const { self } = core;
    const isOurs = core.isSelf(claim.node) && !core.isLeaving;
    if (self === undefined || from === undefined || !isOurs) return;
    if (!core.replies.admitStaleClaim(from, nowMs)) return;
    const { node, incarnation } = self;
    const bytes = encodeMessage({ kind: "alive", incarnation, node });
    core.sendBytes(from, bytes, { crc: false });
  }

  // --- Alive ----------------------------------------------------------------

  /**
   * @param spread whether others may not know it yet; news that came from the
   * whole cluster need not be told to it again
   */
  alive(claim: Alive, nowMs: number, spread = true): void {
    const core = this.#core;
    const { node, incarnation } = claim;
    const member = core.members.get(node.name);
    const isSelf = core.isSelf(node.name);
    if (isSelf && core.isLeaving) return;

    const isAddressKnown = member !== undefined &&
      hasAddress(member.node, node, core.portOf(node.port));
    // Most alive messages repeat what we know; they end here.
    if (
      isAddressKnown && !isSelf && incarnation <= member.incarnation
    ) return;
    if (isSelf && incarnation < core.incarnation) return;
    if (!this.#isAcceptable(node, nowMs)) return;

    if (member === undefined) {
      this.#addMember(claim, nowMs, spread);
    } else if (!isAddressKnown) {
      this.#aliveElsewhere(member, claim, nowMs);
    } else if (isSelf) {
      this.#aliveAboutSelf(member, claim, nowMs);
    } else {
      this.#becomeAlive(member, claim, this.#describe(member, node), nowMs);
    }
  }

  #addMember(claim: Alive, nowMs: number, spread: boolean): void {
    const core = this.#core;
    const { node, incarnation } = claim;
    // Incarnation 0 is below every announced one; nobody is made of it.
    if (incarnation === 0) return;
    if (core.members.size >= core.config.membersMax) {
      core.refuse(
        "WARN",
        `ignoring alive message for '${node.name}': the member table is full (${core.config.membersMax})`,
        nowMs,
      );
      return;
    }
    const member = new Member(core.describe(node));
    core.members.add(member);
    this.#becomeAlive(member, claim, member.node, nowMs, { spread });
  }

  /** A known name at another address: the name is taken over, or in conflict. */
  #aliveElsewhere(member: Member, claim: Alive, nowMs: number): void {
    const core = this.#core;
    const { deadNodeReclaimMs } = core.config;
    const described = core.describe(claim.node);
    const isReclaimable = member.state === "left" ||
      (member.state === "dead" && deadNodeReclaimMs > 0 &&
        nowMs - member.stateChangedMs > deadNodeReclaimMs);
    if (isReclaimable) {
      core.log(
        "INFO",
        `Updating address for left or failed node ${member.name} from ${member.address} to ${described.address}`,
      );
      this.#becomeAlive(member, claim, described, nowMs);
      return;
    }
    core.metrics.conflicts.add();
    core.refuse(
      "ERR",
      `Conflicting address for ${member.name}. Mine: ${member.address} Theirs: ${described.address} Old state: ${
        STATE_NUMBERS[member.state]
      }`,
      nowMs,
    );
    core.emitEvent({ type: "conflict", existing: member, other: described });
  }

  #aliveAboutSelf(self: Member, claim: Alive, nowMs: number): void {
    const core = this.#core;
    const { node, incarnation } = claim;
    if (
      incarnation === core.incarnation &&
      equalBytes(node.meta, self.node.meta) &&
      equalBytes(node.vsn, self.node.vsn)
    ) return;
    core.logLimited(
      "WARN",
      `Refuting an alive message for '${self.name}' (${self.address})`,
      nowMs,
    );
    this.#refute(incarnation, nowMs);
    core.metrics.msgAlive.add();
  }

  #becomeAlive(
    member: Member,
    claim: Alive,
    node: Descriptor,
    nowMs: number,
    options: {
      readonly spread?: boolean;
      readonly token?: number | undefined;
    } = {},
  ): void {
    const core = this.#core;
    core.metrics.msgAlive.add();
    if (member.state === "suspect") core.metrics.suspicionRefuted.add();
    this.#endSuspicion(member);
    const wasLive = member.isLive;
    const isMetaNew = !equalBytes(member.node.meta, node.meta);
    member.node = node;
    member.incarnation = claim.incarnation;
    if (member.state !== "alive") core.members.setState(member, "alive", nowMs);
    if (options.spread ?? true) {
      this.#broadcastAlive(member, claim, options.token);
    }
    if (!wasLive) core.emitEvent({ type: "memberJoin", member });
    else if (isMetaNew) core.emitEvent({ type: "memberUpdate", member });
  }

  #broadcastAlive(member: Member, claim: Alive, token?: number): void {
    const { node } = member;
    // A port that was left out was filled in, and travels on so.
    const told = node.port === claim.node.port ? claim : { ...claim, node };
    this.#core.broadcasts.queueNamed(member.name, encodeOnce(told), token);
  }

  /** Keeps the descriptor that we hold when the claim says the same. */
  #describe(member: Member, node: NodeDescriptor): Descriptor {
    const core = this.#core;
    return member.node.isSame(node, core.portOf(node.port))
      ? member.node
      : core.describe(node);
  }

  /** Whether a descriptor makes sense; what does not is dropped and counted. */
  #isAcceptable(node: NodeDescriptor, nowMs: number): boolean {
    const problem = problemOf(node) ?? this.#core.host.refuseMember(node);
    if (problem === undefined) return true;
    this.#core.refuse(
      "WARN",
      `ignoring alive message for '${
        node.name.slice(0, NAME_LENGTH_MAX)
      }': ${problem}`,
      nowMs,
    );
    return false;
  }

  // --- Suspect --------------------------------------------------------------

  /** @param from where the packet with the claim came from, if it was one */
  suspect(claim: Suspect, nowMs: number, from?: string): void {
    const core = this.#core;
    const member = core.members.get(claim.node);
    if (member === undefined) return;
    switch (precedence(member, claim)) {
      case "ignore":
        this.#answerStaleClaim(claim, from, nowMs);
        return;
      case "confirm":
        this.#confirmSuspicion(member, claim, nowMs);
        return;
      case "apply":
        if (core.isSelf(claim.node)) {
          core.logLimited(
            "WARN",
            `Refuting a suspect message (from: ${claim.from})`,
            nowMs,
          );
          this.#refute(claim.incarnation, nowMs);
        } else {
          this.#becomeSuspect(member, claim, nowMs);
        }
    }
  }

  #becomeSuspect(member: Member, claim: Suspect, nowMs: number): void {
    const core = this.#core;
    const { profile } = core.config;
    core.metrics.msgSuspect.add();
    // One about an older incarnation is void: the member has refuted it since.
    this.#endSuspicion(member);
    core.broadcasts.queueNamed(member.name, encodeOnce(claim));
    member.incarnation = claim.incarnation;
    core.members.setState(member, "suspect", nowMs);

    const others = core.members.size - 2;
    const wanted = profile.suspicionMult - 2;
    const minMs = suspicionTimeoutMs(
      profile.suspicionMult,
      core.members.size,
      profile.probeIntervalMs,
    );
    const suspicion = new Suspicion(
      // Too few members to hear from: the shortest timeout must do.
      others < wanted ? 0 : wanted,
      minMs,
      minMs * profile.suspicionMaxTimeoutMult,
      nowMs,
      claim.from,
    );
    const timer: SuspicionTimer = { kind: "suspicion", member };
    const row = core.deadlines.add(nowMs, timer);
    member.suspicion = { suspicion, row, asks: 0, lastAskMs: nowMs };
    core.deadlines.move(row, this.#nextStepMs(member.suspicion, nowMs));
  }

  #confirmSuspicion(member: Member, claim: Suspect, nowMs: number): void {
    const core = this.#core;
    const running = member.suspicion;
    if (running === undefined || !running.suspicion.confirm(claim.from)) return;
    core.metrics.suspicionConfirmed.add();
    core.broadcasts.queueNamed(member.name, encodeOnce(claim));
    core.deadlines.move(running.row, this.#nextStepMs(running, nowMs));
  }

  /**
   * A suspicion is about to run out, or has run out.
   *
   * When too few others have accused the member, it may well have refuted and we
   * have missed it. It is then asked a few times before the end. (memberlist does
   * not: who misses a refutation calls a live member dead. With all confirmations
   * in, the member is not asked, so that a real failure does not make everybody
   * ask.)
   *
   * @returns whether the member is to be asked now; its answer refutes
   */
  suspicionDue(member: Member, nowMs: number): boolean {
    const core = this.#core;
    const running = member.suspicion;
    if (running === undefined || member.state !== "suspect") return false;
    const isAsked = isDoubtful(running.suspicion) && running.asks < LAST_ASKS;
    if (!isAsked && this.#nextStepMs(running, nowMs) <= nowMs) {
      this.#suspicionExpired(member, running.suspicion, nowMs);
      return false;
    }
    if (isAsked) {
      running.asks++;
      running.lastAskMs = nowMs;
    }
    const timer: SuspicionTimer = { kind: "suspicion", member };
    running.row = core.deadlines.add(this.#nextStepMs(running, nowMs), timer);
    return isAsked;
  }

  /** When to ask the member next or, after the last time, to call it dead. */
  #nextStepMs(running: RunningSuspicion, nowMs: number): number {
    const { suspicion, asks, lastAskMs } = running;
    const { probeTimeoutMs } = this.#core.config.profile;
    const deadlineMs = suspicion.deadlineMs(nowMs);
    if (!isDoubtful(suspicion)) return Math.max(deadlineMs, nowMs);
    const earliestMs = asks === 0 ? nowMs : lastAskMs + probeTimeoutMs;
    const asksLeft = LAST_ASKS - asks;
    return Math.max(deadlineMs - asksLeft * probeTimeoutMs, earliestMs);
  }

  #suspicionExpired(
    member: Member,
    suspicion: Suspicion,
    nowMs: number,
  ): void {
    const core = this.#core;
    const { expected, confirmations } = suspicion;
    core.metrics.suspicionExpired.add();
    if (confirmations < expected) core.metrics.degradedTimeout.add();
    core.log(
      "INFO",
      `Marking ${member.name} as failed, suspect timeout reached (${confirmations} peer confirmations)`,
    );
    this.#becomeDead({
      kind: "dead",
      node: member.name,
      from: core.config.name,
      incarnation: member.incarnation,
    }, nowMs);
  }

  #endSuspicion(member: Member): void {
    if (member.suspicion === undefined) return;
    this.#core.deadlines.delete(member.suspicion.row);
    member.suspicion = undefined;
  }

  // --- Dead -----------------------------------------------------------------

  /** @param from where the packet with the claim came from, if it was one */
  dead(claim: Dead, nowMs: number, from?: string): void {
    const core = this.#core;
    const member = core.members.get(claim.node);
    if (member === undefined) return;
    if (precedence(member, claim) === "ignore") {
      this.#answerStaleClaim(claim, from, nowMs);
      return;
    }
    if (core.isSelf(claim.node) && !core.isLeaving) {
      core.logLimited(
        "WARN",
        `Refuting a dead message (from: ${claim.from})`,
        nowMs,
      );
      this.#refute(claim.incarnation, nowMs);
      return;
    }
    this.#becomeDead(claim, nowMs);
  }

  #becomeDead(claim: Dead, nowMs: number, token?: number): void {
    const core = this.#core;
    const member = core.members.get(claim.node);
    if (member === undefined) return;
    core.metrics.msgDead.add();
    this.#endSuspicion(member);
    if (core.isSelf(member.name)) {
      // Whether we go in peace is not to wait behind the news of others.
      core.broadcasts.withdraw(member.name);
      core.departures.queueNamed(member.name, encodeOnce(claim), token);
    } else core.broadcasts.queueNamed(member.name, encodeOnce(claim), token);
    member.incarnation = claim.incarnation;
    const state = claim.node === claim.from ? "left" : "dead";
    core.members.setState(member, state, nowMs);
    const hasLeft = state === "left";
    core.emitEvent({ type: "memberLeave", member, hasLeft });
  }
}

/** Whether fewer others than expected have accused the member. */
function isDoubtful(suspicion: Suspicion): boolean {
  const { expected, confirmations } = suspicion;
  return expected === 0 || confirmations < expected;
}

/** Numbers of the states in memberlist's log lines. */
const STATE_NUMBERS = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;

/**
 * Whether both claims name one address. Spellings of an IPv4 address in 4 and in
 * 16 bytes are equal, which memberlist takes for a conflict.
 */
function hasAddress(
  held: Descriptor,
  claimed: NodeDescriptor,
  claimedPort: number,
): boolean {
  if (held.port !== claimedPort) return false;
  return equalBytes(held.addr, claimed.addr) ||
    (held.addr.length !== claimed.addr.length &&
      isSameIp(held.addr, claimed.addr));
}

/** What is wrong with a descriptor, `undefined` when nothing is. */
function problemOf(node: NodeDescriptor): string | undefined {
  const { vsn } = node;
  if (node.name.length > NAME_LENGTH_MAX) {
    return `the name has ${node.name.length} characters, at most ${NAME_LENGTH_MAX} are allowed`;
  }
  if (node.addr.length !== 4 && node.addr.length !== 16) {
    return `IP byte length is invalid: ${node.addr.length} bytes is not either 4 or 16`;
  }
  if (node.meta.length > META_BYTES_MAX) {
    return `meta has ${node.meta.length} bytes, at most ${META_BYTES_MAX} are allowed`;
  }
  if (vsn.length < VSN_BYTES) return "Vsn is not present";
  const [min, max, current] = vsn as unknown as [number, number, number];
  if (min === 0 || max === 0 || min > max) {
    return `protocol version(s) are wrong: ${min} <= ${current} <= ${max} should be >0`;
  }
  return undefined;
}
