/**
 * Every stream of the engine: who opened it, what for, and how it ends.
 *
 *   inbound     opened --bytes--> message complete --our answer--> closed
 *   push/pull   dialing --dialed, our state--> awaiting the reply --> closed
 *   ping        dialing --dialed, the ping---> awaiting the ack ----> closed
 *
 * One request per stream, at most one answer. Each stream has one row in the
 * deadline table; whatever happens, the stream ends there. A stream that is
 * gone from the table is over: late inputs for it are ignored.
 *
 * Source: memberlist `net.go` (handleConn), `state.go` (pushPullNode),
 * `memberlist.go` (Join).
 */

import { Budget, type BudgetRate } from "../kit/budget.ts";
import type { Deadline } from "../kit/deadlines.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Ping, PushPull, StreamMessage } from "../wire/messages.ts";
import {
  encodeStreamMessage,
  sealStream,
  StreamError,
  StreamReader,
} from "../wire/stream_frame.ts";
import { isKeyMismatch, WireError } from "../wire/wire_error.ts";
import type { Claims } from "./claims.ts";
import type { SwimCore } from "./core.ts";
import {
  endMs,
  type InboundStream,
  InboundStreams,
  type Surplus,
} from "./inbound_streams.ts";
import type { Member } from "./member.ts";
import { Join, type JoinTarget, LEAD_MS } from "./join.ts";
import type { OperationId, StreamId } from "./output.ts";
import {
  makePushPull,
  mergePushPull,
  pushPullIntervalMs,
} from "./push_pull.ts";
import type { Timer } from "./timer.ts";

/** Members learned at our first contact that we gossip on, on average. */
const FIRST_CONTACT_SPREAD = 32;
/**
 * Exchanges begun because of something that cannot be right. One heals a cluster
 * that has come apart; the second is for one that fails. At this rate they are no
 * more than the periodic ones.
 */
const DOUBTS: BudgetRate = { perSecond: 1 / 60, burst: 2 };
/** Searches for the member that has said so; each looks through the whole table. */
const DOUBT_SEARCHES: BudgetRate = { perSecond: 20, burst: 40 };
type Purpose =
  | {
    readonly kind: "inbound";
    readonly from: string;
    readonly inbound: InboundStream;
  }
  | {
    readonly kind: "pushPull";
    readonly target: JoinTarget;
    readonly startedMs: number;
    /** The join it is part of, and which of its targets; none when periodic. */
    readonly join?: { readonly of: Join; readonly index: number };
  }
  | {
    readonly kind: "ping";
    readonly target: Member;
    readonly ping: Ping;
  };

interface Stream {
  readonly id: StreamId;
  readonly purpose: Purpose;
  readonly reader: StreamReader;
  readonly row: Deadline<Timer>;
  /** Outbound only: whether the connection stands. */
  isDialed: boolean;
  /** Bytes that arrived. */
  receivedBytes: number;
}

export class Streams {
  readonly #core: SwimCore;
  readonly #claims: Claims;
  readonly #onStreamAck: (seqNo: number) => void;
  readonly #streams = new Map<StreamId, Stream>();
  readonly #inbound: InboundStreams;
  readonly #doubts = new Budget(DOUBTS);
  readonly #doubtSearches = new Budget(DOUBT_SEARCHES);
  #lastId = 0;

  /** @param onStreamAck told when a stream ping was answered */
  constructor(
    core: SwimCore,
    claims: Claims,
    onStreamAck: (seqNo: number) => void,
  ) {
    this.#core = core;
    this.#claims = claims;
    this.#onStreamAck = onStreamAck;
    this.#inbound = new InboundStreams(core.members);
  }

  // --- Starting exchanges ---------------------------------------------------

  /** Plans the periodic push/pull; the first comes after a random extra wait. */
  start(nowMs: number): void {
    const intervalMs = this.#core.config.profile.pushPullIntervalMs;
    if (intervalMs <= 0) return;
    const staggerMs = this.#core.random.fraction() * intervalMs;
    this.#planPushPull(nowMs + staggerMs);
  }

  #planPushPull(fromMs: number): void {
    const core = this.#core;
    const intervalMs = pushPullIntervalMs(
      core.config.profile.pushPullIntervalMs,
      core.members.size,
    );
    core.deadlines.add(fromMs + intervalMs, { kind: "pushPull" });
  }

  /** The periodic exchange with one random member. */
  pushPullTick(nowMs: number): void {
    const core = this.#core;
    this.#planPushPull(nowMs);
    const [partner] = core.members.pick(
      1,
      (member) => member.state === "alive" && !core.isSelf(member.name),
    );
    if (partner === undefined) return;
    const { name, address } = partner;
    this.#dialPushPull({ name, address }, undefined, nowMs);
  }

  /**
   * Exchanges state with the member that has this address, because it has said
   * what cannot be right unless we have missed a lot. Not often: anybody can say
   * so in its name.
   */
  exchangeWith(address: string, nowMs: number): void {
    const { members } = this.#core;
    if (!this.#doubts.has(1, nowMs)) return;
    if (!this.#doubtSearches.take(1, nowMs)) return;
    const isPartner = (member: Member) =>
      member.address === address && member.isLive &&
      !this.#core.isSelf(member.name);
    const partner = members.all().find(isPartner);
    if (partner === undefined) return;
    this.#doubts.take(1, nowMs);
    const { name } = partner;
    this.#dialPushPull({ name, address }, undefined, nowMs);
  }

  join(targets: readonly JoinTarget[], nowMs: number): OperationId {
    const join = new Join(this.#core.nextOperation(), targets);
    this.#advanceJoin(join, nowMs);
    return join.operation;
  }

  #advanceJoin(join: Join, nowMs: number): void {
    for (
      let index = join.nextToDial();
      index !== undefined;
      index = join.nextToDial()
    ) {
      const target = join.targets[index] as JoinTarget;
      this.#dialPushPull(target, { of: join, index }, nowMs);
    }
    if (!join.isFinished) return;
    const { operation, outcome } = join;
    this.#core.emitEvent({ type: "joinFinished", operation, ...outcome });
  }

  #dialPushPull(
    target: JoinTarget,
    join: { readonly of: Join; readonly index: number } | undefined,
    nowMs: number,
  ): void {
    const { streamTimeoutMs } = this.#core.config.profile;
    this.#core.log(
      "DEBUG",
      `Initiating push/pull sync with: ${target.name ?? ""} ${target.address}`,
    );
    this.#dial(
      { kind: "pushPull", target, startedMs: nowMs, ...(join && { join }) },
      target.address,
      nowMs + streamTimeoutMs,
    );
  }

  /** Pings over a stream, while a probe waits for other answers. */
  startPing(target: Member, ping: Ping, endMs: number): void {
    this.#dial({ kind: "ping", target, ping }, target.address, endMs);
  }

  #dial(purpose: Purpose, to: string, deadlineMs: number): void {
    const id = ++this.#lastId;
    const stream = this.#add(id, purpose, "dialing", deadlineMs);
    this.#core.emit({ kind: "dial", streamId: stream.id, to });
  }

  // --- Inputs ---------------------------------------------------------------

  /** Somebody opened a stream to us. */
  opened(from: string, nowMs: number): StreamId {
    const core = this.#core;
    const id = ++this.#lastId;
    const inbound = this.#inbound.add(id, from, nowMs);
    const { streamTimeoutMs } = core.config.profile;
    this.#add(
      id,
      { kind: "inbound", from, inbound },
      "accepting",
      endMs(inbound, streamTimeoutMs),
    );
    core.metrics.tcpAccept.add();
    core.log("DEBUG", `Stream connection from=${from}`);
    this.#limitInbound(inbound, nowMs);
    return id;
  }

  /** A dial succeeded: says what the stream is for. */
  dialed(id: StreamId, nowMs: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isDialed) return;
    stream.isDialed = true;
    const { purpose } = stream;
    if (purpose.kind === "ping") {
      this.#write(stream, purpose.ping, "dialing");
    } else if (purpose.kind === "pushPull") {
      this.#core.metrics.tcpConnect.add();
      const join = purpose.join?.of;
      if (join === undefined || join.mayExchange(id)) {
        this.#exchange(stream, nowMs);
      } else {
        const deadlineMs = nowMs + LEAD_MS;
        this.#core.deadlines.add(deadlineMs, { kind: "joinLead", join });
      }
    }
  }

  /** The first exchange of a join had its time to go ahead. */
  leadEnded(join: Join, nowMs: number): void {
    this.#exchangeAll(join.open(), nowMs);
  }

  #exchangeAll(ids: readonly StreamId[], nowMs: number): void {
    for (const id of ids) {
      const stream = this.#streams.get(id);
      if (stream !== undefined) this.#exchange(stream, nowMs);
    }
  }

  #exchange(stream: Stream, nowMs: number): void {
    const core = this.#core;
    const { purpose } = stream;
    const isJoin = purpose.kind === "pushPull" && purpose.join !== undefined;
    const { streamTimeoutMs } = core.config.profile;
    core.deadlines.move(stream.row, nowMs + streamTimeoutMs);
    this.#write(stream, makePushPull(core, isJoin), "dialing");
  }

  dialFailed(id: StreamId, why: string, nowMs: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#failOutbound(stream, why, nowMs);
  }

  received(id: StreamId, bytes: Uint8Array, nowMs: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.receivedBytes += bytes.length;
    this.#core.metrics.tcpReceived.add(bytes.length);
    const { purpose } = stream;
    try {
      const message = stream.reader.push(bytes);
      if (message !== undefined) {
        this.#messageArrived(stream, message, nowMs);
      } else if (purpose.kind === "inbound") {
        this.#partArrived(stream, purpose.inbound, bytes.length, nowMs);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unreadable(stream, error, nowMs);
    }
  }

  /** The other side sends nothing more. */
  closed(id: StreamId, nowMs: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (stream.purpose.kind !== "inbound") {
      this.#failOutbound(stream, "EOF", nowMs);
      return;
    }
    try {
      stream.reader.end();
      this.#end(stream);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unreadable(stream, error, nowMs);
    }
  }

  /** The stream took too long. */
  timedOut(id: StreamId, nowMs: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    const { purpose } = stream;
    if (purpose.kind === "inbound") {
      const { inbound } = purpose;
      this.#giveUpInbound(inbound, "failed to receive: i/o timeout", nowMs);
      return;
    }
    const to = purpose.target.address;
    const step = stream.isDialed ? `read tcp ${to}` : `dial tcp ${to}`;
    this.#failOutbound(stream, `${step}: i/o timeout`, nowMs);
  }

  /** Ends every stream, without a word. */
  closeAll(): void {
    for (const stream of [...this.#streams.values()]) this.#end(stream);
  }

  // --- What arrived ---------------------------------------------------------

  #messageArrived(stream: Stream, message: StreamMessage, nowMs: number): void {
    if (message.kind === "pushPull") {
      this.#core.metrics.sizeRemote.record(stream.receivedBytes);
    }
    switch (stream.purpose.kind) {
      case "inbound":
        this.#requestArrived(stream, stream.purpose.from, message, nowMs);
        break;
      case "pushPull":
        this.#replyArrived(stream, message, nowMs);
        break;
      case "ping":
        if (
          message.kind === "ack" && message.seqNo === stream.purpose.ping.seqNo
        ) {
          this.#onStreamAck(message.seqNo);
        }
        this.#end(stream);
    }
  }

  #requestArrived(
    stream: Stream,
    from: string,
    message: StreamMessage,
    nowMs: number,
  ): void {
    const core = this.#core;
    switch (message.kind) {
      case "ping":
        if (message.node !== "" && !core.isSelf(message.node)) {
          this.#refuse(
            "WARN",
            `Got ping for unexpected node ${message.node} from=${from}`,
            nowMs,
          );
          break;
        }
        this.#write(stream, {
          kind: "ack",
          seqNo: message.seqNo,
          payload: new Uint8Array(0),
        }, "accepting");
        break;
      case "pushPull": {
        // Our own state first, as it was before the merge.
        this.#write(stream, makePushPull(core, message.join), "accepting");
        this.#merge(message, from, nowMs);
        break;
      }
      case "user":
        if (message.body.length > 0) {
          core.emitEvent({ type: "userMessage", body: message.body, from });
        }
        break;
      case "ack":
      case "error":
        this.#refuse(
          "ERR",
          `Received invalid msgType (${
            message.kind === "ack" ? 2 : 13
          }) from=${from}`,
          nowMs,
        );
    }
    this.#end(stream);
  }

  #replyArrived(stream: Stream, message: StreamMessage, nowMs: number): void {
    if (message.kind === "error") {
      this.#failOutbound(stream, `remote error: ${message.text}`, nowMs);
      return;
    }
    if (message.kind !== "pushPull") {
      this.#failOutbound(
        stream,
        `received invalid message ${message.kind}, expected pushPull`,
        nowMs,
      );
      return;
    }
    const problem = mergePushPull(
      this.#core,
      this.#claims,
      message,
      nowMs,
      this.#spreadShare(stream.purpose, message),
      true,
    );
    if (problem !== undefined) {
      this.#failOutbound(stream, problem, nowMs);
      return;
    }
    this.#end(stream);
    this.#exchangeEnded(stream, undefined, nowMs);
  }

  /**
   * Which share of what a reply tells us we gossip on.
   *
   * When we were alone and asked one member to let us in, its cluster knows all
   * of it, or is about to. memberlist gossips it all the same, a message per
   * member and transmission. A few, chosen at random, are enough to repair what
   * gossip has missed while many nodes join at once. With several addresses we
   * might be the link between clusters that do not know each other, so then
   * everything is passed on.
   */
  #spreadShare(purpose: Purpose, { states }: PushPull): number {
    const isFirstContact = purpose.kind === "pushPull" &&
      purpose.join?.of.targets.length === 1 &&
      this.#core.members.liveCount === 1;
    return isFirstContact ? FIRST_CONTACT_SPREAD / states.length : 1;
  }

  #merge(message: PushPull, from: string, nowMs: number): void {
    const problem = mergePushPull(this.#core, this.#claims, message, nowMs);
    if (problem === undefined) return;
    this.#refuse(
      "ERR",
      `Failed push/pull merge: ${problem} from=${from}`,
      nowMs,
    );
  }

  /** Bytes that make no sense; the sender is told only if the outer layers failed. */
  #unreadable(stream: Stream, error: WireError, nowMs: number): void {
    const { purpose } = stream;
    if (isKeyMismatch(error)) this.#core.metrics.decryptFailed.add();
    if (purpose.kind !== "inbound") {
      this.#failOutbound(stream, error.detail, nowMs);
      return;
    }
    this.#refuse("ERR", `${error.detail} from=${purpose.from}`, nowMs);
    if (error instanceof StreamError && error.answer) {
      this.#write(stream, { kind: "error", text: error.reason }, "accepting");
    }
    this.#end(stream);
  }

  /** A stream of somebody else's is of no use to us. */
  #refuse(level: LogLevel, text: string, nowMs: number): void {
    this.#core.metrics.streamsRefused.add();
    this.#core.refuse(level, text, nowMs);
  }

  #failOutbound(stream: Stream, why: string, nowMs: number): void {
    const core = this.#core;
    const { purpose } = stream;
    this.#end(stream);
    if (purpose.kind === "ping") {
      // A refused dial is expected of a dead member; what breaks later is not.
      if (stream.isDialed) core.log("ERR", `Failed fallback TCP ping: ${why}`);
      return;
    }
    if (purpose.kind !== "pushPull") return;
    core.metrics.pushPullFailed.add();
    const { target, join } = purpose;
    if (join === undefined) {
      core.log(
        "ERR",
        `Push/Pull with ${target.name ?? target.address} failed: ${why}`,
      );
    } else {
      core.log("DEBUG", `failed to join ${target.address}: ${why}`);
    }
    this.#exchangeEnded(stream, why, nowMs);
  }

  /** One of our push/pulls is over; if it is part of a join, that goes on. */
  #exchangeEnded(
    stream: Stream,
    why: string | undefined,
    nowMs: number,
  ): void {
    const { purpose } = stream;
    if (purpose.kind !== "pushPull") return;
    this.#core.metrics.pushPullNode.record(nowMs - purpose.startedMs);
    if (purpose.join === undefined) return;
    const { of: join, index } = purpose.join;
    this.#exchangeAll(join.ended(stream.id, index, why), nowMs);
    this.#advanceJoin(join, nowMs);
  }

  // --- The table ------------------------------------------------------------

  #add(
    id: StreamId,
    purpose: Purpose,
    role: "accepting" | "dialing",
    deadlineMs: number,
  ): Stream {
    const stream: Stream = {
      id,
      purpose,
      reader: new StreamReader(this.#core.codecConfig, role),
      row: this.#core.deadlines.add(deadlineMs, {
        kind: "stream",
        streamId: id,
      }),
      isDialed: false,
      receivedBytes: 0,
    };
    this.#streams.set(id, stream);
    return stream;
  }

  /**
   * Gives an unfinished stream the time that its progress is worth, and makes room
   * for it. One whose message comes in one piece takes nobody's place.
   */
  #partArrived(
    stream: Stream,
    inbound: InboundStream,
    byteCount: number,
    nowMs: number,
  ): void {
    const { deadlines, config } = this.#core;
    this.#inbound.received(inbound, byteCount);
    deadlines.move(stream.row, endMs(inbound, config.profile.streamTimeoutMs));
    this.#limitInbound(inbound, nowMs);
  }

  #limitInbound(newcomer: InboundStream, nowMs: number): void {
    let surplus: Surplus | undefined;
    while ((surplus = this.#inbound.surplus(newcomer, nowMs)) !== undefined) {
      this.#giveUpInbound(surplus.stream, surplus.why, nowMs);
    }
  }

  /** Ends a stream of somebody else's to whom nothing is owed. */
  #giveUpInbound(
    { id, from }: InboundStream,
    why: string,
    nowMs: number,
  ): void {
    this.#refuse("ERR", `${why} from=${from}`, nowMs);
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#end(stream, { isAbrupt: true });
  }

  #write(
    stream: Stream,
    message: StreamMessage,
    role: "accepting" | "dialing",
  ): void {
    const core = this.#core;
    const body = encodeStreamMessage(message);
    if (message.kind === "pushPull") core.metrics.sizeLocal.set(body.length);
    const bytes = sealStream(body, core.codecConfig, role);
    core.metrics.tcpSent.add(bytes.length);
    core.emit({ kind: "write", streamId: stream.id, bytes });
  }

  /** @param how whether anything that was written may be lost */
  #end(stream: Stream, how: { readonly isAbrupt?: true } = {}): void {
    if (!this.#streams.delete(stream.id)) return;
    const core = this.#core;
    if (stream.purpose.kind === "inbound") this.#inbound.delete(stream.id);
    core.deadlines.delete(stream.row);
    core.emit({ kind: "close", streamId: stream.id, ...how });
  }
}
