/**
 * Engines with a planted mistake, to prove that the checkers can fail.
 *
 * Each is a real engine behind a wrapper that tampers with what goes in or comes
 * out, or that shows a wrong view of what it holds.
 */

import type { SerfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import type { Output } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import type { EngineFactory, SimEngine } from "../../lib/sim/sim_engine.ts";
import type { EngineSeeds } from "../../lib/swim/core.ts";
import type { MemberView } from "../../lib/swim/member.ts";
import type { StreamId } from "../../lib/swim/output.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message, PushPull } from "../../lib/wire/messages.ts";
import { type CodecConfig, PacketCodec } from "../../lib/wire/packet.ts";
import {
  encodeStreamMessage,
  sealStream,
  StreamReader,
  type StreamRole,
} from "../../lib/wire/stream_frame.ts";

/** A mistake to plant. */
export interface Mistake {
  /** What becomes of a message that arrives; `undefined` drops it. */
  message?(message: Message, self: string): Message | undefined;
  /** What becomes of a state exchange that arrives. */
  pushPull?(exchange: PushPull, self: string): PushPull;
  /** What becomes of something asked for. */
  output?(output: Output): Output[];
  /** The last word heard about each member counts, however old. */
  readonly believesLastWord?: boolean;
}

/** Makes engines with a mistake, each with its own. */
export function planted(makeMistake: () => Mistake): EngineFactory {
  return (config, seeds) => new PlantedEngine(config, seeds, makeMistake());
}

/** Row of a table in which the last word counts. */
interface LastWord {
  name: string;
  state: MemberView["state"];
  incarnation: number;
}

class PlantedEngine implements SimEngine {
  readonly #engine: SerfEngine;
  readonly #mistake: Mistake;
  readonly #codecConfig: CodecConfig;
  readonly #codec: PacketCodec;
  readonly #self: string;
  readonly #readers = new Map<
    StreamId,
    { reader: StreamReader; role: StreamRole }
  >();
  readonly #lastWords = new Map<string, LastWord>();

  constructor(config: SerfConfig, seeds: EngineSeeds, mistake: Mistake) {
    this.#engine = new SerfEngine(config, seeds);
    this.#mistake = mistake;
    this.#self = config.swim.name;
    this.#codecConfig = {
      label: "",
      keyring: undefined,
      compression: false,
      protocolVersion: config.swim.protocolVersion,
      verifyIncoming: true,
      verifyOutgoing: true,
      nextNonce: () => seeds.nextNonce(),
    };
    this.#codec = new PacketCodec(this.#codecConfig);
  }

  // --- Tampering ------------------------------------------------------------

  handlePacket(from: string, bytes: Uint8Array, nowMs: number): void {
    const kept: Uint8Array[] = [];
    for (const part of this.#codec.open(bytes).parts) {
      const heard = decodeMessage(part);
      this.#noteLastWord(heard);
      const message = this.#mistake.message
        ? this.#mistake.message(heard, this.#self)
        : heard;
      if (message !== undefined) kept.push(encodeMessage(message));
    }
    if (kept.length === 0) return;
    this.#engine.handlePacket(from, encodeCompound(kept), nowMs);
  }

  handleStreamOpened(from: string, nowMs: number): StreamId {
    const id = this.#engine.handleStreamOpened(from, nowMs);
    this.#addReader(id, "accepting");
    return id;
  }

  handleDialed(id: StreamId, nowMs: number): void {
    this.#addReader(id, "dialing");
    this.#engine.handleDialed(id, nowMs);
  }

  handleStreamData(id: StreamId, bytes: Uint8Array, nowMs: number): void {
    const entry = this.#readers.get(id);
    const message = entry?.reader.push(bytes.slice());
    if (entry === undefined || message === undefined) return;
    const tampered = message.kind === "pushPull" && this.#mistake.pushPull
      ? this.#mistake.pushPull(message, this.#self)
      : message;
    // What we read as the accepting side was sent by the dialing side.
    const sender = entry.role === "accepting" ? "dialing" : "accepting";
    const body = encodeStreamMessage(tampered);
    this.#engine.handleStreamData(
      id,
      sealStream(body, this.#codecConfig, sender),
      nowMs,
    );
  }

  drain(): Output[] {
    const { output } = this.#mistake;
    const outputs = this.#engine.drain();
    return output === undefined
      ? outputs
      : outputs.flatMap((one) => output(one));
  }

  get swim(): SimEngine["swim"] {
    const real = this.#engine.swim;
    if (this.#mistake.believesLastWord !== true) return real;
    return {
      queueDepth: real.queueDepth,
      member: (name) => real.member(name),
      members: () => [...this.#lastWords.values()] as unknown as MemberView[],
    };
  }

  #addReader(id: StreamId, role: StreamRole): void {
    this.#readers.set(id, {
      reader: new StreamReader(this.#codecConfig, role),
      role,
    });
  }

  #noteLastWord(message: Message): void {
    switch (message.kind) {
      case "alive":
        return this.#setLastWord(
          message.node.name,
          "alive",
          message.incarnation,
        );
      case "suspect":
      case "dead":
        return this.#setLastWord(
          message.node,
          message.kind,
          message.incarnation,
        );
    }
  }

  #setLastWord(
    name: string,
    state: MemberView["state"],
    incarnation: number,
  ): void {
    if (name === this.#self) return;
    const row = this.#lastWords.get(name);
    if (row === undefined) {
      this.#lastWords.set(name, { name, state, incarnation });
    } else Object.assign(row, { state, incarnation });
  }

  // --- Everything else as it is ----------------------------------------------

  start(nowMs: number): void {
    this.#engine.start(nowMs);
  }
  handleStreamClosed(id: StreamId, nowMs: number): void {
    this.#engine.handleStreamClosed(id, nowMs);
  }
  handleDialFailed(id: StreamId, why: string, nowMs: number): void {
    this.#engine.handleDialFailed(id, why, nowMs);
  }
  handleTimeout(nowMs: number): void {
    this.#engine.handleTimeout(nowMs);
  }
  nextDeadlineMs(): number | undefined {
    return this.#engine.nextDeadlineMs();
  }
  join(...args: Parameters<SimEngine["join"]>): number {
    return this.#engine.join(...args);
  }
  leave(nowMs: number): number {
    return this.#engine.leave(nowMs);
  }
  forceLeave(...args: Parameters<SimEngine["forceLeave"]>): number {
    return this.#engine.forceLeave(...args);
  }
  query(...args: Parameters<SimEngine["query"]>): number {
    return this.#engine.query(...args);
  }
  respond(...args: Parameters<SimEngine["respond"]>): void {
    this.#engine.respond(...args);
  }
  coordinate(name: string): ReturnType<SimEngine["coordinate"]> {
    return this.#engine.coordinate(name);
  }
  userEvent(...args: Parameters<SimEngine["userEvent"]>): void {
    this.#engine.userEvent(...args);
  }
  setTags(...args: Parameters<SimEngine["setTags"]>): number {
    return this.#engine.setTags(...args);
  }
  changeKeys(...args: Parameters<SimEngine["changeKeys"]>): number {
    return this.#engine.changeKeys(...args);
  }
  keyringSaved(...args: Parameters<SimEngine["keyringSaved"]>): void {
    this.#engine.keyringSaved(...args);
  }
  get state(): SimEngine["state"] {
    return this.#engine.state;
  }
  members(): Member[] {
    return this.#engine.members();
  }
  localMember(): Member {
    return this.#engine.localMember();
  }
  stats(): Map<string, string> {
    return this.#engine.stats();
  }
}
