/**
 * The SWIM engine: membership and failure detection of one node, as a value.
 *
 * It owns no socket, timer, clock or source of chance. A driver feeds it what
 * happened (packets, stream bytes, dial results, time, requests) and carries out
 * what it answers (`drain`). The contract:
 *
 * - `nowMs` never goes back; any origin will do.
 * - After any input: drain, perform in order, then ask `nextDeadlineMs` again.
 * - At that instant call `handleTimeout`; later is allowed, only slower.
 * - Inputs never throw because of what a peer sent. What cannot be used is
 *   dropped, counted and logged.
 * - Requests throw only for the caller's mistakes, and then nothing has changed.
 *
 * This file routes inputs to mechanisms; the rules are in `claims.ts`,
 * `probe.ts`, `gossip.ts`, `push_pull.ts` and `streams.ts`.
 */

import { assert, unreachable } from "../kit/assert.ts";
import type { Deadline } from "../kit/deadlines.ts";
import type { Counter, Metrics } from "../kit/metrics.ts";
import { decodeMessage, encodeMessage } from "../wire/message_codec.ts";
import { Memo } from "../wire/memo.ts";
import { type Message, MessageType } from "../wire/messages.ts";
import { isKeyMismatch, WireError } from "../wire/wire_error.ts";
import { Claims } from "./claims.ts";
import type { SwimConfig } from "./config.ts";
import { type EngineSeeds, SwimCore } from "./core.ts";
import { Gossiper } from "./gossip.ts";
import type { SwimHost } from "./host.ts";
import type { JoinTarget } from "./join.ts";
import type { MemberView } from "./member.ts";
import type { SwimMetrics } from "./metrics.ts";
import type { OperationId, StreamId, SwimOutput } from "./output.ts";
import { Prober } from "./probe.ts";
import { Receipts } from "./receipt.ts";
import type { HostReply, NamedAddress } from "./replies.ts";
import { Streams } from "./streams.ts";
import type { Timer } from "./timer.ts";

export type { EngineSeeds } from "./core.ts";
export type { JoinTarget } from "./join.ts";

/**
 * What recent claims about members decoded to: each one arrives many times over,
 * in the same bytes. All engines of a process share it.
 */
const claims = new Memo(decodeMessage, {
  slots: 1_024,
  // The longest meta, and a name of ordinary length.
  bytesMax: 768,
});

function isClaim(part: Uint8Array): boolean {
  const type = part[0];
  return type === MessageType.alive || type === MessageType.suspect ||
    type === MessageType.dead;
}

/** A leave or update whose announcement is still being gossiped. */
interface PendingBroadcast {
  readonly row: Deadline<Timer>;
  readonly timeoutText: string;
}

export class SwimEngine {
  readonly #core: SwimCore;
  readonly #claims: Claims;
  readonly #gossiper: Gossiper;
  readonly #prober: Prober;
  readonly #streams: Streams;
  readonly #receipts: Receipts;
  /** Counted for every packet, and so asked for only once. */
  readonly #packetsReceived: Counter;
  readonly #udpReceived: Counter;
  readonly #pending = new Map<OperationId, PendingBroadcast>();
  #isRunning = false;

  /** @param metrics where to count; absent, in one of its own */
  constructor(
    config: SwimConfig,
    host: SwimHost,
    seeds: EngineSeeds,
    metrics?: Metrics,
  ) {
    this.#core = new SwimCore(config, host, seeds, metrics);
    this.#packetsReceived = this.#core.metrics.packetsReceived;
    this.#udpReceived = this.#core.metrics.udpReceived;
    this.#claims = new Claims(this.#core);
    this.#gossiper = new Gossiper(this.#core);
    this.#streams = new Streams(
      this.#core,
      this.#claims,
      (seqNo) => this.#prober.streamAnswered(seqNo),
    );
    this.#prober = new Prober(this.#core, this.#claims, this.#streams);
    this.#receipts = new Receipts(this.#core);
  }

  // --- Life -----------------------------------------------------------------

  /** Announces ourselves and starts probing, gossip and push/pull. */
  start(nowMs: number): void {
    this.#isRunning = true;
    this.#claims.announce(nowMs);
    this.#prober.start(nowMs);
    this.#streams.start(nowMs);
  }

  /** Ends everything without a word to the cluster. Inputs are ignored from then on. */
  shutdown(): void {
    this.#isRunning = false;
    this.#streams.closeAll();
    this.#core.deadlines.clear();
  }

  // --- Inputs ---------------------------------------------------------------

  /** @param from `ip:port` that the datagram came from */
  handlePacket(from: string, bytes: Uint8Array, nowMs: number): void {
    if (!this.#isRunning) return;
    const core = this.#core;
    this.#packetsReceived.add();
    this.#udpReceived.add(bytes.length);
    core.replies.beginPacket();
    try {
      const { parts, errors } = core.codec.open(bytes);
      for (const error of errors) this.#refuse(error, from, nowMs);
      for (const part of parts) this.#handlePart(part, from, nowMs);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      core.metrics.packetsRefused.add();
      if (isKeyMismatch(error)) core.metrics.decryptFailed.add();
      this.#refuse(error, from, nowMs);
    }
    this.#settle(nowMs);
  }

  /** Somebody connected to us. The engine numbers the stream. */
  handleStreamOpened(from: string, nowMs: number): StreamId {
    const id = this.#streams.opened(from, nowMs);
    if (!this.#isRunning) this.#streams.closeAll();
    return id;
  }

  handleStreamData(id: StreamId, bytes: Uint8Array, nowMs: number): void {
    if (!this.#isRunning) return;
    this.#streams.received(id, bytes, nowMs);
    this.#settle(nowMs);
  }

  /** The peer sends nothing more, or the connection broke. */
  handleStreamClosed(id: StreamId, nowMs: number): void {
    if (!this.#isRunning) return;
    this.#streams.closed(id, nowMs);
    this.#settle(nowMs);
  }

  handleDialed(id: StreamId, nowMs: number): void {
    if (!this.#isRunning) return;
    this.#streams.dialed(id, nowMs);
  }

  /** @param why as Go words it: `dial tcp 10.0.0.1:7946: connect: connection refused` */
  handleDialFailed(id: StreamId, why: string, nowMs: number): void {
    if (!this.#isRunning) return;
    this.#streams.dialFailed(id, why, nowMs);
  }

  /** Does everything that is due. */
  handleTimeout(nowMs: number): void {
    const { deadlines } = this.#core;
    for (
      let timer = deadlines.takeDue(nowMs);
      timer !== undefined;
      timer = deadlines.takeDue(nowMs)
    ) {
      this.#handleTimer(timer, nowMs);
    }
    this.#settle(nowMs);
  }

  /** Next instant at which `handleTimeout` has work; `undefined` when idle. */
  nextDeadlineMs(): number | undefined {
    return this.#core.deadlines.nextMs();
  }

  /** Hands over and forgets the outputs produced since the last call. */
  drain(): SwimOutput[] {
    return this.#core.drain();
  }

  // --- Requests -------------------------------------------------------------

  /**
   * Exchanges state with each of the addresses, several at a time. Ends in one
   * `joinFinished` event.
   */
  join(targets: readonly JoinTarget[], nowMs: number): OperationId {
    return this.#streams.join(targets, nowMs);
  }

  /**
   * Tells the cluster that we go. Afterwards we still answer and gossip, until
   * `shutdown`. Ends in one `broadcastFinished` event.
   *
   * @param timeoutMs longest wait for the announcement to be gossiped
   */
  leave(timeoutMs: number, nowMs: number): OperationId {
    const operation = this.#core.nextOperation();
    const isFirst = !this.#core.isLeaving;
    this.#core.isLeaving = true;
    this.#expectSpread(
      operation,
      timeoutMs,
      nowMs,
      "timeout waiting for leave broadcast",
    );
    if (isFirst) this.#claims.leave(nowMs, operation);
    if (!isFirst || !this.#hasOthers()) this.#finish(operation);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Announces the host's present meta. Ends in one `broadcastFinished` event.
   * Not after `leave`: it would call us alive again.
   */
  updateMeta(timeoutMs: number, nowMs: number): OperationId {
    assert(!this.#core.isLeaving, "meta is updated before a leave");
    const operation = this.#core.nextOperation();
    this.#expectSpread(
      operation,
      timeoutMs,
      nowMs,
      "timeout waiting for update broadcast",
    );
    this.#claims.announce(nowMs, operation);
    if (!this.#hasOthers()) this.#finish(operation);
    this.#settle(nowMs);
    return operation;
  }

  /**
   * Exchanges state with the member at that address, if there is one: it has said
   * what cannot be right unless we have missed a lot. Only now and then.
   */
  exchangeWith(address: string, nowMs: number): void {
    if (this.#isRunning) this.#streams.exchangeWith(address, nowMs);
  }

  /** Sends one message of the layer above to one address, once, unacknowledged. */
  sendUserMessage(address: string, body: Uint8Array): void {
    const bytes = encodeMessage({ kind: "user", body });
    this.#core.sendBytes(address, bytes, { crc: false });
  }

  /**
   * Whether a message may be sent that a peer has asked for. Ask before each
   * `sendUserMessage` of that kind.
   *
   * @param to who gets it in the end, as the peer names it
   */
  mayReply(kind: HostReply, to: NamedAddress, nowMs: number): boolean {
    return this.#core.replies.admitHostReply(kind, to, nowMs);
  }

  /**
   * Sends one message of the layer above to a few members at a time, beside any
   * gossip, until one of them has acknowledged it. Ends in one `receipt` event,
   * or by `giveUpReceipt`.
   *
   * @param message type byte included; kept
   */
  seekReceipt(message: Uint8Array, nowMs: number): void {
    if (this.#isRunning) this.#receipts.start(message, nowMs);
  }

  /** Nobody waits for a receipt any more. */
  giveUpReceipt(): void {
    this.#receipts.giveUp();
  }

  /** The host has something to gossip. */
  wakeGossip(nowMs: number): void {
    if (this.#isRunning) this.#gossiper.wake(nowMs);
  }

  // --- Views ----------------------------------------------------------------

  /** Ourselves; there is nobody before `start`. */
  get local(): MemberView | undefined {
    return this.#core.self;
  }

  member(name: string): MemberView | undefined {
    return this.#core.members.get(name);
  }

  /** Everybody in the table, in no order; dead and left ones for a while. */
  members(): readonly MemberView[] {
    return this.#core.members.all();
  }

  /** Alive and suspect members, ourselves included. */
  get liveCount(): number {
    return this.#core.members.liveCount;
  }

  /** Lifeguard's score of ourselves, 0 is best. */
  get healthScore(): number {
    return this.#core.awareness.score;
  }

  get metrics(): SwimMetrics {
    return this.#core.metrics;
  }

  /** Longest user message, type byte included, that can be gossiped at all. */
  get broadcastBytesMax(): number {
    return this.#core.broadcastBytesMax;
  }

  /** Broadcasts of our own layer that wait to be gossiped. */
  get queueDepth(): number {
    return this.#core.departures.size + this.#core.broadcasts.size;
  }

  /** Records the depth of the queue; the layer above says when. */
  sampleQueue(): void {
    this.#core.metrics.queueBroadcasts.record(this.queueDepth);
  }

  // --- Inside ---------------------------------------------------------------

  #handlePart(part: Uint8Array, from: string, nowMs: number): void {
    let message: Message;
    try {
      message = isClaim(part) ? claims.get(part) : decodeMessage(part);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#refuse(error, from, nowMs);
      return;
    }
    if (this.#isFarAhead(message, nowMs)) {
      this.#streams.exchangeWith(from, nowMs);
      return;
    }
    switch (message.kind) {
      case "ping":
        return this.#prober.ping(message, from, nowMs);
      case "indirectPing":
        return this.#prober.indirectPing(message, from, nowMs);
      case "ack":
        if (this.#receipts.acked(message.seqNo)) return;
        return this.#prober.ack(message, nowMs);
      case "nack":
        return this.#prober.nack(message, from);
      case "suspect":
        return this.#claims.suspect(message, nowMs, from);
      case "alive":
        return this.#claims.alive(message, nowMs);
      case "dead":
        return this.#claims.dead(message, nowMs, from);
      case "user":
        return this.#core.emitEvent({
          type: "userMessage",
          body: message.body,
          from,
        });
      default:
        return unreachable(message);
    }
  }

  /** Whether a claim has an incarnation that cannot be right; it is refused then. */
  #isFarAhead(message: Message, nowMs: number): boolean {
    switch (message.kind) {
      case "alive":
        return this.#claims.refusesIncarnation(
          message.node.name,
          message.incarnation,
          nowMs,
        );
      case "suspect":
      case "dead":
        return this.#claims.refusesIncarnation(
          message.node,
          message.incarnation,
          nowMs,
        );
      default:
        return false;
    }
  }

  #handleTimer(timer: Timer, nowMs: number): void {
    switch (timer.kind) {
      case "probeTick":
        return this.#prober.tick(nowMs);
      case "probeTimeout":
        return this.#prober.probeTimedOut(nowMs);
      case "probeEnd":
        return this.#prober.roundEnded(nowMs);
      case "relayTimeout":
        return this.#prober.relayTimedOut(timer.seqNo, nowMs);
      case "gossip":
        return this.#gossiper.round(nowMs);
      case "pushPull":
        return this.#streams.pushPullTick(nowMs);
      case "suspicion":
        if (this.#claims.suspicionDue(timer.member, nowMs)) {
          this.#prober.askSuspect(timer.member);
        }
        return;
      case "stream":
        return this.#streams.timedOut(timer.streamId, nowMs);
      case "joinLead":
        return this.#streams.leadEnded(timer.join, nowMs);
      case "receipt":
        return this.#receipts.ask(nowMs);
      case "broadcast":
        return this.#finish(timer.operation, { isTimeout: true });
      case "refusals":
        return this.#core.summarizeRefusals();
      default:
        return unreachable(timer);
    }
  }

  /** What every input may have caused: broadcasts to send, broadcasts sent. */
  #settle(nowMs: number): void {
    for (const queue of [this.#core.departures, this.#core.broadcasts]) {
      for (const token of queue.drainFinished()) this.#finish(token);
    }
    this.#gossiper.wake(nowMs);
  }

  #refuse(error: WireError, from: string, nowMs: number): void {
    const level = error.code === "badChecksum" ? "WARN" : "ERR";
    this.#core.refuse(level, `${error.detail} from=${from}`, nowMs);
  }

  #hasOthers(): boolean {
    const { self, members } = this.#core;
    return members.liveCount > (self?.isLive ? 1 : 0);
  }

  #expectSpread(
    operation: OperationId,
    timeoutMs: number,
    nowMs: number,
    timeoutText: string,
  ): void {
    const row = this.#core.deadlines.add(nowMs + timeoutMs, {
      kind: "broadcast",
      operation,
    });
    this.#pending.set(operation, { row, timeoutText });
  }

  #finish(
    operation: OperationId,
    options?: { readonly isTimeout: boolean },
  ): void {
    const pending = this.#pending.get(operation);
    if (pending === undefined) return;
    this.#pending.delete(operation);
    this.#core.deadlines.delete(pending.row);
    this.#core.emitEvent({
      type: "broadcastFinished",
      operation,
      ...(options?.isTimeout && { error: pending.timeoutText }),
    });
  }
}
