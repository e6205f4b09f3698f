/** What an attacker on the network sends, and the engine that it is sent to. */

import { concatBytes } from "../../lib/kit/bytes.ts";
import type { CompileExpression } from "../../lib/kit/expression.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import type { Output } from "../../lib/serf/event.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  encodeSerfMessage,
  type SerfMessage,
} from "../../lib/wire/serf_messages.ts";
import { MessageType } from "../../lib/wire/messages.ts";
import type { SerfOptions } from "../serf/parts.ts";
import { codecConfig } from "../wire/vectors.ts";

/** Parts of a compound, at most; more go into one of compounds. */
const PARTS_MAX = 255;

/** An engine alone in the world, with everything that came out of it. */
export class Victim {
  readonly engine: SerfEngine;
  readonly outputs: Output[] = [];
  nowMs = 0;

  constructor(
    options: SerfOptions = {},
    compileExpression?: CompileExpression,
  ) {
    const config = serfConfig({
      swim: {
        name: "victim",
        advertiseAddr: Uint8Array.of(10, 0, 0, 1),
        advertisePort: 7946,
      },
      ...options,
    });
    this.engine = new SerfEngine(config, {
      random: new Random(1),
      nextNonce: () => new Uint8Array(12),
      ...(compileExpression && { compileExpression }),
    });
    this.engine.start(0);
    this.#drain();
  }

  /** Hands it a packet. */
  packet(from: string, bytes: Uint8Array): void {
    this.engine.handlePacket(from, bytes, this.nowMs);
    this.#drain();
  }

  /** Makes a request of it. */
  call<T>(request: (engine: SerfEngine, nowMs: number) => T): T {
    const result = request(this.engine, this.nowMs);
    this.#drain();
    return result;
  }

  /** Lets time pass; what is due happens. */
  pass(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (
      let dueMs = this.engine.nextDeadlineMs();
      dueMs !== undefined && dueMs <= endMs;
      dueMs = this.engine.nextDeadlineMs()
    ) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.engine.handleTimeout(this.nowMs);
      this.#drain();
    }
    this.nowMs = endMs;
  }

  /** The names of the user events and queries that the application saw. */
  get seen(): string[] {
    return this.outputs.flatMap((output) =>
      output.kind === "event" && "name" in output.event
        ? [output.event.name]
        : []
    );
  }

  get log(): string[] {
    return this.outputs.flatMap((output) =>
      output.kind === "log" ? [output.text] : []
    );
  }

  #drain(): void {
    for (const output of this.engine.drain()) this.outputs.push(output);
  }
}

/** Messages in one packet, compressed, as anybody can send it. */
export function packetOf(messages: readonly SerfMessage[]): Uint8Array {
  return sealParts(
    messages.map((message) =>
      concatBytes([
        Uint8Array.of(MessageType.user),
        encodeSerfMessage(message),
      ])
    ),
  );
}

/** SWIM messages in one packet, compressed. */
export function sealParts(messages: readonly Uint8Array[]): Uint8Array {
  let parts = [...messages];
  while (parts.length > 1) {
    const compounds: Uint8Array[] = [];
    for (let at = 0; at < parts.length; at += PARTS_MAX) {
      compounds.push(compoundOf(parts.slice(at, at + PARTS_MAX)));
    }
    parts = compounds;
  }
  const codec = new PacketCodec(codecConfig({ compression: true }));
  return codec.seal(parts[0] as Uint8Array, { crc: false });
}

/** A compound with more parts than ours have. */
function compoundOf(parts: readonly Uint8Array[]): Uint8Array {
  const lengths = parts.flatMap(({ length }) => [length >> 8, length & 0xff]);
  return concatBytes([
    Uint8Array.of(MessageType.compound, parts.length, ...lengths),
    ...parts,
  ]);
}
