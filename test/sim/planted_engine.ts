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
import { WireError } from "../../lib/wire/wire_error.ts";

/** A mistake to plant. */
export interface Mistake {
  /** What becomes of a message that arrives; `undefined` drops it. */
  message?(message: Message, self: string): Message | undefined;
  /** What becomes of a state exchange that arrives. */
  pushPull?(exchange: PushPull, self: string): PushPull;
  /** What becomes of something asked for. */
  output?(output: Output): Output[];
  /** What the engine is told instead of its configuration. */
  config?(config: SerfConfig): SerfConfig;
  /** What becomes of the figures that it shows. */
  stats?(stats: Map<string, string>): Map<string, string>;
  /** The last word heard about each member counts, however old. */
  readonly believesLastWord?: boolean;
  /** It lists itself as what others call it. */
  readonly believesAccusations?: boolean;
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

/** A row as it is, but for its state. */
function withState(row: MemberView, state: MemberView["state"]): MemberView {
  return Object.create(row, { state: { value: state } });
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
  /** What others called us. */
  #accusation: "suspect" | "dead" | undefined;

  constructor(config: SerfConfig, seeds: EngineSeeds, mistake: Mistake) {
    const told = mistake.config?.(config) ?? config;
    // What was opened and tampered with is handed on in the clear.
    const swim = { ...told.swim, verifyIncoming: false };
    this.#engine = new SerfEngine({ ...told, swim }, seeds);
    this.#mistake = mistake;
    this.#self = config.swim.name;
    this.#codecConfig = {
      label: "",
      keyring: config.swim.keyring,
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
    for (const part of this.#partsOf(bytes)) {
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

  /** None of a packet that is sealed with a key which we do not have. */
  #partsOf(bytes: Uint8Array): readonly Uint8Array[] {
    try {
      return this.#codec.open(bytes).parts;
    } catch (error) {
      if (error instanceof WireError) return [];
      throw error;
    }
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
    let message: ReturnType<StreamReader["push"]>;
    try {
      message = entry?.reader.push(bytes.slice());
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#readers.delete(id);
    }
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
    const accusation = this.#accusation;
    if (this.#mistake.believesAccusations && accusation !== undefined) {
      return {
        queueDepth: real.queueDepth,
        member: (name) => real.member(name),
        members: () =>
          [...real.members()].map((row) =>
            row.name === this.#self ? withState(row, accusation) : row
          ),
      };
    }
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
        if (message.node === this.#self) this.#accusation = message.kind;
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
    const stats = this.#engine.stats();
    return this.#mistake.stats?.(stats) ?? stats;
  }
}
