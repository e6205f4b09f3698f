import assert from "node:assert/strict";
import {
  HandlerLane,
  WAITING_HARD_MAX,
  WAITING_MAX,
} from "../../lib/agent/handler_lane.ts";
import type { OnFull } from "../../lib/agent/handler_spec.ts";

/** A lane of numbers whose runs end when the test says so. */
class TestLane {
  readonly lane: HandlerLane<number>;
  readonly begun: number[] = [];
  readonly lines: string[] = [];
  nowMs = 0;
  readonly #ends = new Map<number, () => void>();

  constructor(onFull: OnFull, concurrency = 1) {
    this.lane = new HandlerLane({
      concurrency,
      onFull,
      label: "x",
      run: (event) => {
        this.begun.push(event);
        return new Promise((resolve) => this.#ends.set(event, resolve));
      },
      warn: (text) => this.lines.push(text),
      now: () => this.nowMs,
    });
  }

  push(from: number, to = from): void {
    for (let event = from; event <= to; event++) this.lane.push(event);
  }

  /** Ends that run, and lets the lane go on. */
  async end(event: number): Promise<void> {
    const end = this.#ends.get(event);
    assert.ok(end, `${event} does not run`);
    this.#ends.delete(event);
    end();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }

  /** Ends all runs, one after another, until none is left. */
  async endAll(): Promise<void> {
    while (true) {
      const [event] = this.#ends.keys();
      if (event === undefined) return;
      await this.end(event);
    }
  }
}

Deno.test("HandlerLane runs one event at a time, in order", async () => {
  const t = new TestLane("wait");
  t.push(1, 3);
  assert.deepEqual(t.begun, [1]);
  await t.end(1);
  assert.deepEqual(t.begun, [1, 2]);
  t.push(4);
  await t.endAll();
  assert.deepEqual(t.begun, [1, 2, 3, 4]);
  t.push(5);
  assert.deepEqual(t.begun, [1, 2, 3, 4, 5], "idle lanes begin at once");
  assert.deepEqual(t.lines, []);
});

Deno.test("HandlerLane runs as many at the same time as it may", async () => {
  const t = new TestLane("wait", 3);
  t.push(1, 6);
  assert.deepEqual(t.begun, [1, 2, 3]);
  await t.end(2);
  assert.deepEqual(t.begun, [1, 2, 3, 4]);
  await t.end(4);
  await t.end(1);
  assert.deepEqual(t.begun, [1, 2, 3, 4, 5, 6]);
  t.push(7);
  assert.equal(t.lane.waitingCount, 1, "3, 5 and 6 still run");
});

Deno.test("a full lane loses the newest, if told to", async () => {
  const t = new TestLane("drop");
  t.push(0, WAITING_MAX);
  assert.equal(t.lane.waitingCount, WAITING_MAX);
  assert.deepEqual(t.lines, []);
  t.push(1_000);
  assert.deepEqual(t.lines, [
    "Too many events wait for x, lost 1 of the newest",
  ]);
  await t.endAll();
  assert.deepEqual(t.begun, numbers(0, WAITING_MAX));
});

Deno.test("a full lane loses the oldest that waits, if told to", async () => {
  const t = new TestLane("drop-oldest");
  t.push(0, WAITING_MAX + 2);
  assert.equal(t.lane.waitingCount, WAITING_MAX);
  await t.endAll();
  assert.deepEqual(t.begun, [0, ...numbers(3, WAITING_MAX + 2)]);
  assert.deepEqual(t.lines, [
    "Too many events wait for x, lost 1 of the oldest",
    "Too many events wait for x, lost 1 of the oldest",
  ]);
});

Deno.test("a lane that waits has room for many more, and then loses the oldest", async () => {
  const t = new TestLane("wait");
  t.push(0, WAITING_HARD_MAX);
  assert.equal(t.lane.waitingCount, WAITING_HARD_MAX);
  assert.deepEqual(t.lines, []);
  t.push(WAITING_HARD_MAX + 1);
  assert.equal(t.lane.waitingCount, WAITING_HARD_MAX);
  assert.equal(t.lines.length, 1);
  await t.endAll();
  assert.deepEqual(t.begun, [0, ...numbers(2, WAITING_HARD_MAX + 1)]);
});

Deno.test("a lane that loses events says so once a second, and counts", async () => {
  const t = new TestLane("drop");
  t.push(0, WAITING_MAX);
  t.push(100, 109);
  t.nowMs = 999;
  t.push(110);
  t.nowMs = 1_000;
  t.push(111);
  t.push(112, 114);
  const line = (count: number) =>
    `Too many events wait for x, lost ${count} of the newest`;
  assert.deepEqual(t.lines, [line(1), line(11)]);
  // What was not said yet is, once the lane has caught up.
  await t.endAll();
  assert.deepEqual(t.lines, [line(1), line(11), line(3)]);
});

Deno.test("a closed lane forgets what waits and takes nothing", async () => {
  const t = new TestLane("wait");
  t.push(1, 3);
  t.lane.close();
  t.push(4);
  await t.end(1);
  t.push(5);
  assert.deepEqual(t.begun, [1]);
});

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
