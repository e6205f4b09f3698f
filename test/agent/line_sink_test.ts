/** Sending lines, with connections and time of the test's own. */

import assert from "node:assert/strict";
import { utf8Text } from "../../lib/kit/bytes.ts";
import {
  type LineConnection,
  LINES_WAITING_MAX,
  LineSink,
} from "../../lib/agent/line_sink.ts";

class Stage {
  nowMs = 0;
  readonly log: string[] = [];
  readonly packets: string[] = [];
  readonly dropped: number[] = [];
  connects = 0;
  closes = 0;
  /** What goes wrong at the next connect or write. */
  connectError: string | undefined;
  writeError: string | undefined;
  /** Holds writes up until it is settled. */
  gate: Promise<void> = Promise.resolve();
  hangUp = () => {};
  readonly #timers = new Map<number, { call: () => void; atMs: number }>();
  #lastTimer = 0;

  readonly sink: LineSink;

  constructor(packetBytesMax = 1_400) {
    this.sink = new LineSink({
      target: "statsd at there:1",
      packetBytesMax,
      connect: () => this.#connect(),
      log: (level, text) => this.log.push(`[${level}] ${text}`),
      onDropped: (count) => this.dropped.push(count),
      timers: {
        start: (call, afterMs) => {
          const id = ++this.#lastTimer;
          this.#timers.set(id, { call, atMs: this.nowMs + afterMs });
          return id;
        },
        stop: (timer) => this.#timers.delete(timer as number),
      },
    });
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets time pass, and whatever is under way come to its end. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    while (true) {
      await settle();
      const due = [...this.#timers].filter(([, { atMs }]) => atMs <= endMs)
        .sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      const [id, { call, atMs }] = due;
      this.#timers.delete(id);
      this.nowMs = atMs;
      call();
    }
    this.nowMs = endMs;
    await settle();
  }

  // deno-lint-ignore require-await
  async #connect(): Promise<LineConnection> {
    this.connects++;
    if (this.connectError !== undefined) throw new Error(this.connectError);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.hangUp = resolve;
    return {
      write: async (bytes) => {
        await this.gate;
        if (this.writeError !== undefined) throw new Error(this.writeError);
        this.packets.push(utf8Text(bytes));
      },
      ended,
      close: () => this.closes++,
    };
  }
}

/** Runs what is ready, which takes no time. */
function settle(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { port1, port2 } = new MessageChannel();
  port2.onmessage = () => {
    port1.close();
    resolve();
  };
  port1.postMessage(0);
  return promise;
}

Deno.test("LineSink gathers lines for 100 ms, and then has nothing to do", async () => {
  const stage = new Stage();
  stage.sink.push("a\n");
  await stage.pass(60);
  stage.sink.push("b\n");
  await stage.pass(39);
  assert.deepEqual(stage.packets, []);
  assert.equal(stage.connects, 0);
  await stage.pass(1);
  assert.deepEqual(stage.packets, ["a\nb\n"]);
  assert.equal(stage.timerCount, 0);
  stage.sink.push("c\n");
  await stage.pass(100);
  assert.deepEqual(stage.packets, ["a\nb\n", "c\n"]);
  assert.equal(stage.connects, 1);
  assert.deepEqual([stage.log, stage.dropped], [[], []]);
});

Deno.test("LineSink fills packets with whole lines, counted in bytes", async () => {
  const stage = new Stage(10);
  // 4, 6, 5 and 6 bytes: the second has a character of two.
  for (const line of ["abc\n", "abcé\n", "abcd\n", "abcde\n"]) {
    stage.sink.push(line);
  }
  await stage.pass(100);
  assert.deepEqual(stage.packets, ["abc\nabcé\n", "abcd\n", "abcde\n"]);
});

Deno.test("LineSink drops and counts lines that fit into no packet", async () => {
  const stage = new Stage(10);
  stage.sink.push("x".repeat(10) + "\n");
  stage.sink.push("abc\n");
  await stage.pass(100);
  assert.deepEqual(stage.packets, ["abc\n"]);
  stage.sink.push("abc\n");
  await stage.pass(100);
  assert.deepEqual(stage.dropped, [1]);
});

Deno.test("LineSink does not wait for the clock when many lines come", async () => {
  const stage = new Stage();
  for (let i = 0; i < 1_000; i++) stage.sink.push(`line ${i}\n`);
  await stage.pass(0);
  assert.equal(stage.packets.join("").split("\n").length - 1, 1_000);
  assert.ok(stage.packets.every((packet) => packet.length <= 1_400));
  assert.ok(stage.packets.length < 10);
});

Deno.test("LineSink drops and counts what a slow receiver does not take", async () => {
  const stage = new Stage(1_400);
  const { promise, resolve } = Promise.withResolvers<void>();
  stage.gate = promise;
  for (let i = 0; i < 100_000; i++) {
    stage.sink.push(`line ${i}\n`);
    if (i === 256) await stage.pass(0);
  }
  await stage.pass(60_000);
  assert.deepEqual([stage.packets, stage.dropped], [[], []]);
  resolve();
  await stage.pass(100);
  const sent = stage.packets.join("").split("\n").length - 1;
  assert.ok(sent >= LINES_WAITING_MAX && sent < LINES_WAITING_MAX + 300);
  stage.sink.push("later\n");
  await stage.pass(100);
  assert.deepEqual(stage.dropped, [100_000 - sent]);
  assert.equal(stage.packets.at(-1), "later\n");
});

Deno.test("LineSink tries again after 5 s, says so once, and drops meanwhile", async () => {
  const stage = new Stage();
  stage.connectError = "connection refused";
  stage.sink.push("a\n");
  await stage.pass(100);
  for (let round = 0; round < 3; round++) {
    stage.sink.push("b\n");
    await stage.pass(4_900);
    assert.equal(stage.connects, 1 + round);
    stage.sink.push("c\n");
    await stage.pass(101);
    stage.sink.push("d\n");
    await stage.pass(100);
  }
  assert.deepEqual(stage.log, [
    "[WARN] agent: Cannot send metrics to statsd at there:1: connection refused",
  ]);
  stage.connectError = undefined;
  await stage.pass(5_000);
  stage.sink.push("e\n");
  await stage.pass(100);
  assert.deepEqual(stage.packets, ["e\n"]);
  assert.deepEqual(stage.dropped, [10]);
  assert.equal(
    stage.log.at(-1),
    "[INFO] agent: Sending metrics to statsd at there:1 again",
  );
});

Deno.test("LineSink connects anew after a failed write, and after they hung up", async () => {
  const stage = new Stage();
  stage.sink.push("a\n");
  await stage.pass(100);
  stage.writeError = "broken pipe";
  stage.sink.push("b\n");
  await stage.pass(100);
  stage.writeError = undefined;
  await stage.pass(5_000);
  stage.sink.push("c\n");
  await stage.pass(100);
  // Seen before anything is written into the void.
  stage.hangUp();
  await stage.pass(5_000);
  stage.sink.push("d\n");
  await stage.pass(100);
  assert.deepEqual(stage.packets, ["a\n", "c\n", "d\n"]);
  assert.deepEqual([stage.connects, stage.closes], [3, 2]);
  assert.deepEqual(stage.log.map((line) => line.split(": ").at(-1)), [
    "broken pipe",
    "Sending metrics to statsd at there:1 again",
    "connection closed",
    "Sending metrics to statsd at there:1 again",
  ]);
});

Deno.test("LineSink.close() sends the last lines, but waits 200 ms at most", async () => {
  const quick = new Stage();
  quick.sink.push("a\n");
  await quick.sink.close();
  assert.deepEqual(quick.packets, ["a\n"]);
  assert.equal(quick.closes, 1);
  quick.sink.push("b\n");
  await quick.pass(10_000);
  assert.deepEqual([quick.packets, quick.timerCount], [["a\n"], 0]);

  const stuck = new Stage();
  stuck.gate = new Promise(() => {});
  stuck.sink.push("a\n");
  const closed = stuck.sink.close();
  await stuck.pass(200);
  await closed;
  assert.deepEqual([stuck.packets, stuck.closes], [[], 1]);
});
