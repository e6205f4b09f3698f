/**
 * An engine of a few lines for tests of the simulator itself: it writes down
 * what it is given, and asks for what the test tells it to ask for.
 */

import { EMPTY_BYTES, utf8Text } from "../../lib/kit/bytes.ts";
import type { SerfConfig } from "../../lib/serf/config.ts";
import type { Output, QueryEvent } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import type { SimEngine } from "../../lib/sim/sim_engine.ts";

export class FakeEngine implements SimEngine {
  /** Inputs so far, as `verb detail @time`. */
  readonly inputs: string[] = [];
  /** What the next drain hands over. */
  outputs: Output[] = [];
  deadlineMs: number | undefined;
  state: SimEngine["state"] = "alive";
  readonly swim: SimEngine["swim"] = {
    members: () => [],
    member: () => undefined,
    queueDepth: 0,
  };
  /** Called after each input, to answer it. */
  onInput: (text: string) => void = () => {};
  #streams = 1_000;
  #operations = 0;

  constructor(readonly config: SerfConfig) {}

  get name(): string {
    return this.config.swim.name;
  }

  start(nowMs: number): void {
    this.#note("start", nowMs);
  }
  handlePacket(from: string, bytes: Uint8Array, nowMs: number): void {
    this.#note(`packet ${from} ${utf8Text(bytes)}`, nowMs);
  }
  handleStreamOpened(_from: string, nowMs: number): number {
    const id = ++this.#streams;
    this.#note(`opened ${id}`, nowMs);
    return id;
  }
  handleStreamData(id: number, bytes: Uint8Array, nowMs: number): void {
    this.#note(`data ${id} ${utf8Text(bytes)}`, nowMs);
  }
  handleStreamClosed(id: number, nowMs: number): void {
    this.#note(`closed ${id}`, nowMs);
  }
  handleDialed(id: number, nowMs: number): void {
    this.#note(`dialed ${id}`, nowMs);
  }
  handleDialFailed(id: number, why: string, nowMs: number): void {
    this.#note(`dialFailed ${id} ${why}`, nowMs);
  }
  handleTimeout(nowMs: number): void {
    this.deadlineMs = undefined;
    this.#note("timeout", nowMs);
  }
  nextDeadlineMs(): number | undefined {
    return this.deadlineMs;
  }
  drain(): Output[] {
    const { outputs } = this;
    this.outputs = [];
    return outputs;
  }
  join(): number {
    return ++this.#operations;
  }
  leave(): number {
    const operation = ++this.#operations;
    this.outputs.push({ kind: "done", operation });
    return operation;
  }
  forceLeave(): number {
    return ++this.#operations;
  }
  userEvent(name: string): void {
    this.outputs.push({
      kind: "event",
      event: {
        type: "user",
        ltime: 1n,
        name,
        payload: EMPTY_BYTES,
        coalesce: false,
      },
    });
  }
  query(): number {
    return ++this.#operations;
  }
  respond(_query: QueryEvent, payload: Uint8Array, nowMs: number): void {
    this.#note(`respond ${utf8Text(payload)}`, nowMs);
  }
  setTags(): number {
    return ++this.#operations;
  }
  changeKeys(): number {
    return ++this.#operations;
  }
  keyringSaved(saveId: number, error: string | undefined, nowMs: number): void {
    this.#note(`saved ${saveId} ${error}`, nowMs);
  }
  members(): Member[] {
    return [];
  }
  localMember(): Member {
    throw new Error("not needed");
  }
  coordinate(): undefined {
    return undefined;
  }
  stats(): Map<string, string> {
    return new Map();
  }

  #note(text: string, nowMs: number): void {
    this.inputs.push(`${text} @${Math.round(nowMs * 100) / 100}`);
    this.onInput(text);
  }
}
