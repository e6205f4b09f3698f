/**
 * What the mechanisms of the SWIM engine share: the member table, the clocks and
 * metrics, the deadline table, and the ways to say something.
 *
 * It holds state and carries out; it decides nothing. The rules live beside it,
 * one mechanism per file.
 */

import { Deadlines } from "../kit/deadlines.ts";
import { LINE_WINDOW_MS, LineLimit } from "../kit/line_limit.ts";
import { type LogLevel, logLevelRank } from "../kit/log.ts";
import { type Counter, Metrics } from "../kit/metrics.ts";
import type { Random } from "../kit/random.ts";
import {
  COMPOUND_PART_BYTES,
  COMPOUND_PARTS_MAX,
  encodeCompound,
} from "../wire/compound.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import type { Message, NodeDescriptor, Ping } from "../wire/messages.ts";
import type { CodecConfig } from "../wire/codec_config.ts";
import { PacketCodec } from "../wire/packet.ts";
import { Awareness } from "./awareness.ts";
import { BroadcastQueue } from "./broadcast_queue.ts";
import { PROTOCOL_MAX, PROTOCOL_MIN, type SwimConfig } from "./config.ts";
import type { SwimHost } from "./host.ts";
import { Descriptor, type Member, type MemberView } from "./member.ts";
import { Membership } from "./membership.ts";
import { SWIM_METRICS, type SwimMetrics } from "./metrics.ts";
import type { SwimEvent, SwimOutput } from "./output.ts";
import { Replies } from "./replies.ts";
import type { Timer } from "./timer.ts";

/** What an engine cannot make by itself, being a pure function of its inputs. */
export interface EngineSeeds {
  /** Source of every random choice. */
  readonly random: Random;
  /** Fresh 12 bytes for one encryption, never the same twice under one key. */
  nextNonce(): Uint8Array;
  /**
   * Shares descriptors between engines of one process; see `DescriptorPool`.
   *
   * @internal
   */
  internNode?(node: NodeDescriptor, port: number): Descriptor;
}

/** First version that wraps packets in a checksum. */
const CRC_VERSION = 5;

export class SwimCore {
  readonly config: SwimConfig;
  readonly host: SwimHost;
  readonly random: Random;
  readonly codecConfig: CodecConfig;
  readonly codec: PacketCodec;
  readonly members: Membership;
  readonly broadcasts: BroadcastQueue;
  /** That we leave, and nothing else; goes ahead of `broadcasts`. */
  readonly departures: BroadcastQueue;
  readonly deadlines = new Deadlines<Timer>();
  readonly awareness: Awareness;
  readonly metrics: SwimMetrics;
  /** What peers may make us send. */
  readonly replies: Replies;
  /** Our own incarnation; the first announcement carries 1. */
  incarnation = 0;
  /** Set by a leave: what others say about us is then no longer refuted. */
  isLeaving = false;

  /** Counted for every packet, and so asked for only once. */
  readonly #packetsSent: Counter;
  readonly #udpSent: Counter;
  readonly #seeds: EngineSeeds;
  readonly #logRank: number;
  #outputs: SwimOutput[] = [];
  #lastSeqNo = 0;
  #lastOperation = 0;
  readonly #refusals = new LineLimit();

  constructor(
    config: SwimConfig,
    host: SwimHost,
    seeds: EngineSeeds,
    metrics = new Metrics(),
  ) {
    this.config = config;
    this.host = host;
    this.metrics = metrics.of(SWIM_METRICS);
    this.#packetsSent = this.metrics.packetsSent;
    this.#udpSent = this.metrics.udpSent;
    this.random = seeds.random;
    this.#seeds = seeds;
    this.#logRank = logLevelRank(config.logLevel);
    this.codecConfig = {
      label: config.label,
      keyring: config.keyring,
      compression: config.compression,
      protocolVersion: config.protocolVersion,
      verifyIncoming: config.verifyIncoming,
      verifyOutgoing: config.verifyOutgoing,
      nextNonce: () => seeds.nextNonce(),
    };
    this.codec = new PacketCodec(this.codecConfig);
    this.members = new Membership(seeds.random);
    this.awareness = new Awareness(
      config.profile.awarenessMaxMultiplier,
      this.metrics.healthScore,
    );
    const queueOptions = {
      retransmitMult: config.profile.retransmitMult,
      // Broadcasts are named by member, so the table bounds the queue.
      depthMax: config.membersMax,
      messageBytesMax: this.broadcastBytesMax,
    };
    this.broadcasts = new BroadcastQueue(queueOptions);
    this.departures = new BroadcastQueue(queueOptions);
    this.replies = new Replies(this);
  }

  /** Our own row. There is none before the engine was started. */
  get self(): Member | undefined {
    return this.members.get(this.config.name);
  }

  isSelf(name: string): boolean {
    return name === this.config.name;
  }

  /** What we say of ourselves, with fresh meta from the layer above. */
  describeSelf(): Descriptor {
    const { config } = this;
    const { delegateVersion: delegate } = config;
    return this.describe({
      name: config.name,
      addr: config.advertiseAddr,
      port: config.advertisePort,
      meta: this.host.nodeMeta(),
      vsn: Uint8Array.of(
        PROTOCOL_MIN,
        PROTOCOL_MAX,
        config.protocolVersion,
        delegate.min,
        delegate.max,
        delegate.current,
      ),
    });
  }

  /** A descriptor that may be kept, of one whose bytes are views into a packet. */
  describe(node: NodeDescriptor): Descriptor {
    const port = this.portOf(node.port);
    const { internNode } = this.#seeds;
    return internNode === undefined
      ? new Descriptor(node, port)
      : internNode(node, port);
  }

  /** Very old peers send no port; ours stands in for it. Source: `ensureCanConnect` callers in `net.go`. */
  portOf(port: number): number {
    const isUnknown = port === 0 || this.config.protocolVersion < 2;
    return isUnknown ? this.config.bindPort : port;
  }

  nextSeqNo(): number {
    this.#lastSeqNo = (this.#lastSeqNo + 1) >>> 0;
    return this.#lastSeqNo;
  }

  nextOperation(): number {
    return ++this.#lastOperation;
  }

  /** A ping that is to be answered at our announced address. */
  pingTo(node: string, seqNo: number): Ping {
    return { kind: "ping", seqNo, node, ...this.source() };
  }

  /** Where answers should go: our announced address. */
  source(): Pick<Ping, "sourceAddr" | "sourcePort" | "sourceNode"> {
    const { advertiseAddr, advertisePort, name } = this.config;
    return {
      sourceAddr: advertiseAddr,
      sourcePort: advertisePort,
      sourceNode: name,
    };
  }

  // --- Saying something -----------------------------------------------------

  emit(output: SwimOutput): void {
    this.#outputs.push(output);
  }

  emitEvent(event: SwimEvent): void {
    this.#outputs.push({ kind: "event", event });
  }

  drain(): SwimOutput[] {
    const outputs = this.#outputs;
    if (outputs.length > 0) this.#outputs = [];
    return outputs;
  }

  log(level: LogLevel, text: string): void {
    if (logLevelRank(level) < this.#logRank) return;
    this.#outputs.push({ kind: "log", level, text: `memberlist: ${text}` });
  }

  /**
   * Counts refused input and logs it, but not more than a few lines a second: a
   * flood of garbage must not become a flood of log lines.
   */
  refuse(level: LogLevel, text: string, nowMs: number): void {
    this.metrics.refused.add();
    this.logLimited(level, text, nowMs);
  }

  /** Logs what peers can make us say at any rate, within the limit of `refuse`. */
  logLimited(level: LogLevel, text: string, nowMs: number): void {
    if (this.#refusals.isIdle) {
      this.deadlines.add(nowMs + LINE_WINDOW_MS, { kind: "refusals" });
    }
    if (this.#refusals.admit()) this.log(level, text);
  }

  /** Ends a second of refusals. */
  summarizeRefusals(): void {
    const summary = this.#refusals.endWindow();
    if (summary !== undefined) this.log("WARN", summary);
  }

  // --- Sending packets ------------------------------------------------------

  /** Sends one message with as many waiting broadcasts as fit. */
  sendWithBroadcasts(to: string, message: Message): void {
    const bytes = encodeMessage(message);
    const riders = this.takeBroadcasts(
      this.codec.piggybackRoomBytes(bytes.length, this.config.packetBytesMax),
    );
    if (riders.length === 0) {
      this.sendBytes(to, bytes, { crc: false });
    } else {
      this.sendParts(to, [bytes, ...riders], { crc: false });
    }
  }

  /** Sends one message and nothing else. */
  sendAlone(to: string, message: Message): void {
    this.sendBytes(to, encodeMessage(message), { crc: false });
  }

  /** Packs parts, each one whole message, into as few packets as allowed. */
  sendParts(
    to: string,
    parts: readonly Uint8Array[],
    options: { readonly crc: boolean },
  ): void {
    for (const bytes of this.pack(parts, options)) this.sendPacket(to, bytes);
  }

  /** Packets with these parts, all layers on, ready to be sent to anybody. */
  pack(
    parts: readonly Uint8Array[],
    options: { readonly crc: boolean },
  ): Uint8Array[] {
    const packets: Uint8Array[] = [];
    for (let start = 0; start < parts.length; start += COMPOUND_PARTS_MAX) {
      const some = parts.slice(start, start + COMPOUND_PARTS_MAX);
      const [only] = some;
      const bytes = some.length === 1 && only !== undefined
        ? only
        : encodeCompound(some);
      packets.push(this.codec.seal(bytes, options));
    }
    return packets;
  }

  sendBytes(
    to: string,
    message: Uint8Array,
    options: { readonly crc: boolean },
  ): void {
    this.sendPacket(to, this.codec.seal(message, options));
  }

  /** @param bytes with all layers on */
  sendPacket(to: string, bytes: Uint8Array): void {
    this.#packetsSent.add();
    this.#udpSent.add(bytes.length);
    this.#outputs.push({ kind: "packet", to, bytes });
  }

  /** Whether packets to a member carry a checksum. */
  wantsCrc(member: MemberView): boolean {
    return (member.node.vsn[1] ?? 0) >= CRC_VERSION;
  }

  /** Whether there is anything to gossip. */
  get hasBroadcasts(): boolean {
    return this.broadcasts.size > 0 || this.departures.size > 0 ||
      this.host.hasBroadcasts();
  }

  /**
   * Takes broadcasts for one packet: what the layer above calls urgent, our own
   * departure, our other broadcasts, and those of the layer above. The departure
   * has its room before all others have theirs, but follows what is urgent: that
   * may be the reason for it.
   */
  takeBroadcasts(roomBytes: number, copies = 1): Uint8Array[] {
    const { host } = this;
    const hasHosts = host.hasBroadcasts();
    const taken: Uint8Array[] = [];
    let freeBytes = this.#takeFrom(this.departures, taken, roomBytes, copies);
    if (hasHosts) {
      const urgent = host.takeUrgent(COMPOUND_PART_BYTES, freeBytes, copies);
      for (const bytes of urgent) {
        freeBytes -= bytes.length + COMPOUND_PART_BYTES;
      }
      taken.unshift(...urgent);
    }
    freeBytes = this.#takeFrom(this.broadcasts, taken, freeBytes, copies);
    if (hasHosts && freeBytes > COMPOUND_PART_BYTES) {
      taken.push(
        ...host.takeBroadcasts(COMPOUND_PART_BYTES, freeBytes, copies),
      );
    }
    return taken;
  }

  /** Adds from one of our queues. @returns the room that is left, bytes */
  #takeFrom(
    queue: BroadcastQueue,
    taken: Uint8Array[],
    freeBytes: number,
    copies: number,
  ): number {
    if (queue.size === 0) return freeBytes;
    const { size } = this.members;
    let restBytes = freeBytes;
    for (
      const bytes of queue.take(COMPOUND_PART_BYTES, freeBytes, size, copies)
    ) {
      restBytes -= bytes.length + COMPOUND_PART_BYTES;
      taken.push(bytes);
    }
    return restBytes;
  }

  /** Longest message that can be gossiped at all. */
  get broadcastBytesMax(): number {
    return this.gossipRoomBytes - COMPOUND_PART_BYTES;
  }

  /** Room of a packet that carries nothing but broadcasts. */
  get gossipRoomBytes(): number {
    return this.codec.gossipRoomBytes(this.config.packetBytesMax);
  }
}
