/**
 * Failure detection: one member is probed per interval, ourselves by others.
 *
 *   tick --ping--> awaitingAck --ack------------------------> round over (healthy)
 *                      |
 *                 probe timeout
 *                      | indirect pings to k members, stream ping to the target
 *                      v
 *               awaitingIndirect --ack, direct or relayed---> round over (healthy)
 *                      |
 *                 end of round --stream ping answered-------> round over (healthy)
 *                      |
 *                      +--> the target is suspected, our own health score moves
 *
 * The round ends one probe interval after its ping, stretched by our own health
 * score: who misses acks often is slow itself and waits longer (Lifeguard). A
 * nack says "I am here but the target did not answer me", so missing nacks, not
 * missing acks, tell of our own trouble.
 *
 * Source: SWIM (Das et al. 2002), section 3.1; Lifeguard (arXiv 1707.00788),
 * section IV-A; memberlist `state.go` (probeNode), `net.go` (handle*).
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import { unreachable } from "../kit/assert.ts";
import type { Deadline } from "../kit/deadlines.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import type { Ack, IndirectPing, Nack, Ping } from "../wire/messages.ts";
import type { Claims } from "./claims.ts";
import type { SwimCore } from "./core.ts";
import type { Member } from "./member.ts";
import type { ReplyAddress } from "./replies.ts";
import type { Timer } from "./timer.ts";

/** First protocol version that answers an indirect ping with a nack. */
const NACK_VERSION = 4;
/** First protocol version that answers pings over a stream. */
const STREAM_PING_VERSION = 3;
/**
 * Share of the probe timeout after which a relay says that it heard nothing.
 *
 * memberlist waits for all of it. With its default profile (timeout 500 ms,
 * interval 1 s) the nack then arrives after the asker's round is over, so that
 * every real failure counts as the asker's own ill health. Source of the 80 %:
 * Lifeguard (arXiv 1707.00788), section IV-A.
 */
const NACK_SHARE = 0.8;
/** Pings that we relay at one time; further requests are dropped. */
const RELAYS_MAX = 1_024;

type ProbePhase =
  | { readonly kind: "awaitingAck" }
  | {
    readonly kind: "awaitingIndirect";
    readonly expectedNacks: number;
    readonly nackedBy: Set<string>;
    isStreamAnswered: boolean;
  };

interface Round {
  readonly target: Member;
  /** Incarnation at the start; a suspicion names this one. */
  readonly incarnation: number;
  readonly seqNo: number;
  readonly ping: Ping;
  readonly sentMs: number;
  readonly endMs: number;
  readonly row: Deadline<Timer>;
  phase: ProbePhase;
}

/** A ping that we sent for somebody else. */
interface Relay {
  readonly asker: ReplyAddress;
  readonly askerSeqNo: number;
  /** Whether a nack is still to be sent. */
  owesNack: boolean;
  /** When the asker has no more use for an ack. */
  readonly endMs: number;
  row: Deadline<Timer>;
}

/** How a round without any ack moves the health score. */
function awarenessDelta(phase: ProbePhase): number {
  switch (phase.kind) {
    case "awaitingAck":
      return 1;
    case "awaitingIndirect":
      return phase.expectedNacks > 0
        ? Math.max(phase.expectedNacks - phase.nackedBy.size, 0)
        : 1;
    default:
      return unreachable(phase);
  }
}

export interface StreamPinger {
  /** Pings over a stream; the answer comes back through `streamAnswered`. */
  startPing(target: Member, ping: Ping, endMs: number): void;
}

export class Prober {
  readonly #core: SwimCore;
  readonly #claims: Claims;
  readonly #streams: StreamPinger;
  readonly #relays = new Map<number, Relay>();
  #round: Round | undefined;
  #lastTickMs = 0;

  constructor(core: SwimCore, claims: Claims, streams: StreamPinger) {
    this.#core = core;
    this.#claims = claims;
    this.#streams = streams;
  }

  /** Plans the first probe, one interval from now. */
  start(nowMs: number): void {
    this.#lastTickMs = nowMs;
    this.#planTick(nowMs);
  }

  // --- Our own rounds -------------------------------------------------------

  tick(nowMs: number): void {
    const core = this.#core;
    const { profile } = core.config;
    this.#lastTickMs = nowMs;
    const target = core.members.nextToProbe(
      core.config.name,
      () => core.members.resetOrder(nowMs - profile.gossipToTheDeadMs),
    );
    if (target === undefined) {
      this.#planTick(nowMs);
      return;
    }
    const seqNo = core.nextSeqNo();
    const roundMs = core.awareness.scaleMs(profile.probeIntervalMs);
    const timeoutMs = Math.min(profile.probeTimeoutMs, roundMs);
    if (roundMs > profile.probeIntervalMs) core.metrics.degradedProbe.add();
    this.#round = {
      target,
      incarnation: target.incarnation,
      seqNo,
      ping: core.pingTo(target.name, seqNo),
      sentMs: nowMs,
      endMs: nowMs + roundMs,
      row: core.deadlines.add(nowMs + timeoutMs, { kind: "probeTimeout" }),
      phase: { kind: "awaitingAck" },
    };
    this.#sendPing(this.#round);
  }

  /** A suspect is told of the suspicion in the same packet, so that it can refute at once. */
  #sendPing(round: Round): void {
    const core = this.#core;
    const { target, ping } = round;
    if (target.state !== "suspect") {
      core.sendWithBroadcasts(target.address, ping);
      return;
    }
    this.#sendAccused(target, ping);
  }

  /** Tells a member that we suspect it, outside of any round; no ack is awaited. */
  askSuspect(target: Member): void {
    const core = this.#core;
    this.#sendAccused(target, core.pingTo(target.name, core.nextSeqNo()));
  }

  #sendAccused(target: Member, ping: Ping): void {
    const core = this.#core;
    const suspect = encodeMessage({
      kind: "suspect",
      incarnation: target.incarnation,
      node: target.name,
      from: core.config.name,
    });
    core.sendParts(target.address, [encodeMessage(ping), suspect], {
      crc: core.wantsCrc(target),
    });
  }

  /** No direct ack in time: asks others, and tries a stream. */
  probeTimedOut(nowMs: number): void {
    const core = this.#core;
    const round = this.#round;
    if (round === undefined || round.phase.kind !== "awaitingAck") return;
    const { target } = round;
    core.metrics.probeIndirect.add();
    core.log("DEBUG", `Failed UDP ping: ${target.name} (timeout reached)`);

    const helpers = core.members.pick(
      core.config.profile.indirectChecks,
      (member) =>
        member.state === "alive" && member !== target &&
        !core.isSelf(member.name),
    );
    let expectedNacks = 0;
    for (const helper of helpers) {
      const nack = helper.protocolMax >= NACK_VERSION;
      if (nack) expectedNacks++;
      core.sendWithBroadcasts(helper.address, {
        kind: "indirectPing",
        seqNo: round.seqNo,
        target: target.node.addr,
        port: target.node.port,
        node: target.name,
        nack,
        ...core.source(),
      });
    }
    round.phase = {
      kind: "awaitingIndirect",
      expectedNacks,
      nackedBy: new Set(),
      isStreamAnswered: false,
    };
    this.#round = {
      ...round,
      row: core.deadlines.add(Math.max(round.endMs, nowMs), {
        kind: "probeEnd",
      }),
    };
    if (core.config.streamPings && target.protocolMax >= STREAM_PING_VERSION) {
      this.#streams.startPing(target, round.ping, round.endMs);
    }
  }

  /** The target answered over a stream. It counts when the round ends. */
  streamAnswered(seqNo: number): void {
    const round = this.#round;
    if (round?.seqNo !== seqNo || round.phase.kind !== "awaitingIndirect") {
      return;
    }
    round.phase.isStreamAnswered = true;
  }

  /** The round is over without an ack. */
  roundEnded(nowMs: number): void {
    const core = this.#core;
    const round = this.#round;
    if (round === undefined) return;
    this.#round = undefined;
    core.metrics.probeNode.record(nowMs - round.sentMs);
    this.#planTick(nowMs);
    const { target, phase } = round;
    if (phase.kind === "awaitingIndirect" && phase.isStreamAnswered) {
      core.log(
        "WARN",
        `Was able to connect to ${target.name} over TCP but UDP probes failed, network may be misconfigured`,
      );
      core.awareness.apply(-1);
      return;
    }
    core.metrics.probeFailed.add();
    core.awareness.apply(awarenessDelta(phase));
    core.log("INFO", `Suspect ${target.name} has failed, no acks received`);
    this.#claims.suspect({
      kind: "suspect",
      incarnation: round.incarnation,
      node: target.name,
      from: core.config.name,
    }, nowMs);
  }

  #finishHealthy(round: Round, nowMs: number): void {
    this.#core.deadlines.delete(round.row);
    this.#round = undefined;
    this.#core.metrics.probeNode.record(nowMs - round.sentMs);
    this.#core.awareness.apply(-1);
    this.#planTick(nowMs);
  }

  /** The next round starts one interval after the last one did, or right now. */
  #planTick(nowMs: number): void {
    const { probeIntervalMs } = this.#core.config.profile;
    if (probeIntervalMs <= 0) return;
    const atMs = Math.max(nowMs, this.#lastTickMs + probeIntervalMs);
    this.#core.deadlines.add(atMs, { kind: "probeTick" });
  }

  // --- Answers to our pings -------------------------------------------------

  ack(ack: Ack, nowMs: number): void {
    const core = this.#core;
    const round = this.#round;
    if (round?.seqNo === ack.seqNo) {
      if (round.phase.kind === "awaitingAck") {
        const rttMs = nowMs - round.sentMs;
        core.metrics.probeRtt.record(rttMs);
        core.emitEvent({
          type: "pingCompleted",
          member: round.target,
          rttMs,
          payload: ack.payload,
        });
      }
      this.#finishHealthy(round, nowMs);
      return;
    }
    const relay = this.#relays.get(ack.seqNo);
    if (relay === undefined) return;
    this.#relays.delete(ack.seqNo);
    core.deadlines.delete(relay.row);
    core.replies.send(relay.asker, {
      kind: "ack",
      seqNo: relay.askerSeqNo,
      payload: NO_PAYLOAD,
    });
  }

  nack(nack: Nack, from: string): void {
    const round = this.#round;
    if (
      round?.seqNo !== nack.seqNo || round.phase.kind !== "awaitingIndirect"
    ) return;
    round.phase.nackedBy.add(from);
  }

  // --- Answering others -----------------------------------------------------

  ping(ping: Ping, from: string, nowMs: number): void {
    const core = this.#core;
    if (ping.node !== "" && !core.isSelf(ping.node)) {
      core.refuse(
        "WARN",
        `Got ping for unexpected node '${ping.node}' from=${from}`,
        nowMs,
      );
      return;
    }
    if (!core.replies.admitPing(from, nowMs)) return;
    const to = core.replies.replyAddress(ping, from, nowMs);
    core.replies.send(to, {
      kind: "ack",
      seqNo: ping.seqNo,
      payload: to.carries === "nothing" ? NO_PAYLOAD : core.host.ackPayload(),
    });
  }

  /** Pings a member on behalf of another. */
  indirectPing(request: IndirectPing, from: string, nowMs: number): void {
    const core = this.#core;
    if (this.#relays.size >= RELAYS_MAX) {
      core.refuse(
        "WARN",
        `Too many indirect pings at once, dropping one from=${from}`,
        nowMs,
      );
      return;
    }
    const address = formatEndpoint(
      formatIp(request.target),
      core.portOf(request.port),
    );
    const target = { name: request.node, address };
    if (!core.replies.admitRelayedPing(from, target, nowMs)) return;
    const seqNo = core.nextSeqNo();
    const { probeTimeoutMs } = core.config.profile;
    const waitMs = probeTimeoutMs * (request.nack ? NACK_SHARE : 1);
    this.#relays.set(seqNo, {
      asker: core.replies.replyAddress(request, from, nowMs),
      askerSeqNo: request.seqNo,
      owesNack: request.nack,
      endMs: nowMs + probeTimeoutMs,
      row: core.deadlines.add(nowMs + waitMs, { kind: "relayTimeout", seqNo }),
    });
    const to = core.replies.reach(target, nowMs);
    core.replies.send(to, core.pingTo(request.node, seqNo));
  }

  /**
   * The member that we pinged for another did not answer: says so, and still
   * passes an ack on if one comes in the time that is left.
   */
  relayTimedOut(seqNo: number, nowMs: number): void {
    const core = this.#core;
    const relay = this.#relays.get(seqNo);
    if (relay === undefined) return;
    if (!relay.owesNack || nowMs >= relay.endMs) this.#relays.delete(seqNo);
    else {
      const timer: Timer = { kind: "relayTimeout", seqNo };
      relay.row = core.deadlines.add(relay.endMs, timer);
    }
    if (!relay.owesNack) return;
    relay.owesNack = false;
    core.replies.send(relay.asker, {
      kind: "nack",
      seqNo: relay.askerSeqNo,
    });
  }
}

const NO_PAYLOAD = new Uint8Array(0);
