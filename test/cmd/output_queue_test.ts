/** Output that is not read, with a writer and pauses of the test's own. */

import assert from "node:assert/strict";
import { OutputQueue, WAITING_CHARACTERS_MAX } from "../../cmd/output_queue.ts";

class Stage {
  readonly #bytes: number[] = [];
  readonly told: string[] = [];
  dropped = 0;
  /** What the next writes fail with. */
  error: Error | undefined;
  /** Most bytes that a write takes. */
  bytesMax = Infinity;
  /** Holds writes up until it is settled. */
  gate: Promise<void> = Promise.resolve();
  readonly pauses: { ms: number; end(): void }[] = [];
  readonly queue = new OutputQueue({
    write: (bytes) => this.#write(bytes),
    watcher: {
      onDropped: (lines) => this.dropped += lines,
      onTrouble: (reason) => this.told.push(reason),
      onRecovery: (lines) => {
        this.told.push(`${lines} dropped`);
        this.queue.push(`(${lines} dropped)\n`);
      },
    },
    pause: (ms) => new Promise((end) => this.pauses.push({ ms, end })),
  });

  get written(): string {
    return new TextDecoder().decode(new Uint8Array(this.#bytes));
  }

  async #write(bytes: Uint8Array): Promise<number> {
    await this.gate;
    if (this.error !== undefined) throw this.error;
    const some = bytes.subarray(0, this.bytesMax);
    for (const byte of some) this.#bytes.push(byte);
    return some.length;
  }

  /** Ends the pause that is under way, which must be of that length. */
  async endPause(ms: number): Promise<void> {
    const pause = this.pauses.shift();
    assert.equal(pause?.ms, ms);
    pause?.end();
    await settle();
  }
}

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve();
}

Deno.test("OutputQueue writes all in order, however little is taken at a time", async () => {
  const stage = new Stage();
  stage.bytesMax = 3;
  stage.queue.push("one\n");
  stage.queue.push("two\n");
  await settle();
  stage.queue.push("ünd drei\n");
  await stage.queue.flush(1_000);
  assert.equal(stage.written, "one\ntwo\nünd drei\n");
  assert.deepEqual([stage.told, stage.dropped], [[], 0]);
});

Deno.test("OutputQueue drops the newest lines of a reader that stands still, and says so in their place", async () => {
  const stage = new Stage();
  const { promise, resolve: read } = Promise.withResolvers<void>();
  stage.gate = promise;
  const line = `${"x".repeat(1_023)}\n`;
  const fitting = WAITING_CHARACTERS_MAX / line.length;
  stage.queue.push("first\n");
  await settle();
  for (let i = 0; i < fitting + 7; i++) stage.queue.push(line);
  assert.equal(stage.dropped, 7);
  assert.deepEqual(stage.told, ["it is not read"]);
  read();
  await settle();
  stage.queue.push("last\n");
  await stage.queue.flush(1_000);
  assert.deepEqual(stage.told, ["it is not read", "7 dropped"]);
  assert.equal(
    stage.written,
    `first\n${line.repeat(fitting)}(7 dropped)\nlast\n`,
  );
});

Deno.test("OutputQueue goes on without a reader, and with one that comes back", async () => {
  const stage = new Stage();
  stage.error = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  stage.queue.push("one\ntwo\n");
  await settle();
  stage.queue.push("three\n");
  assert.equal(stage.dropped, 3);
  assert.deepEqual(stage.told, ["broken pipe"]);
  // Tried again after a second, and still gone; that is no news.
  await stage.endPause(1_000);
  stage.queue.push("four\n");
  await settle();
  assert.equal(stage.dropped, 4);
  assert.deepEqual(stage.told, ["broken pipe"]);
  await stage.endPause(1_000);
  stage.error = undefined;
  stage.queue.push("five\n");
  await stage.queue.flush(1_000);
  assert.equal(stage.written, "five\n(4 dropped)\n");
  assert.deepEqual(stage.told, ["broken pipe", "4 dropped"]);
});

Deno.test("OutputQueue begins a new line after one that was torn", async () => {
  const stage = new Stage();
  stage.bytesMax = 5;
  stage.queue.push("whole\nand torn\n");
  while (!stage.written.endsWith("and ")) await Promise.resolve();
  stage.error = new Error("No space left on device (os error 28)");
  await settle();
  assert.equal(stage.dropped, 1);
  await stage.endPause(1_000);
  stage.error = undefined;
  stage.queue.push("next\n");
  await stage.queue.flush(1_000);
  assert.equal(stage.written, "whole\nand \nnext\n(1 dropped)\n");
});

Deno.test("OutputQueue waits for a pipe that does not block", async () => {
  const stage = new Stage();
  stage.error = new Deno.errors.WouldBlock();
  stage.queue.push("one\n");
  await settle();
  stage.error = undefined;
  await stage.endPause(20);
  await stage.queue.flush(1_000);
  assert.equal(stage.written, "one\n");
  assert.deepEqual([stage.told, stage.dropped], [[], 0]);
});

Deno.test("OutputQueue.flush() waits no longer than it is told", async () => {
  const stage = new Stage();
  stage.gate = new Promise(() => {});
  stage.queue.push("one\n");
  let isOver = false;
  stage.queue.flush(500).then(() => isOver = true);
  await settle();
  assert.equal(isOver, false);
  await stage.endPause(500);
  assert.equal(isOver, true);
});
