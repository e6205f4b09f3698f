import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../../lib/sim/clock.ts";

Deno.test("next() jumps from entry to entry in the order of time, then of planning", () => {
  const clock = new VirtualClock<string>();
  clock.at(20, "late");
  clock.at(10, "first of two");
  clock.at(10, "second of two");
  assert.deepEqual([clock.next(100), clock.nowMs], ["first of two", 10]);
  assert.deepEqual([clock.next(100), clock.nowMs], ["second of two", 10]);
  assert.deepEqual([clock.next(100), clock.nowMs], ["late", 20]);
  assert.deepEqual([clock.next(100), clock.nowMs], [undefined, 100]);
});

Deno.test("next() leaves alone what is due after the limit", () => {
  const clock = new VirtualClock<string>();
  clock.at(50, "later");
  assert.equal(clock.next(49), undefined);
  assert.equal(clock.nowMs, 49);
  assert.equal(clock.next(50), "later");
});

Deno.test("at() takes an instant that has passed for now", () => {
  const clock = new VirtualClock<string>();
  clock.next(100);
  clock.at(5, "overdue");
  assert.equal(clock.next(100), "overdue");
  assert.equal(clock.nowMs, 100);
});

Deno.test("next() never lets time go back, however entries are planned, moved and cancelled", () => {
  const step = fc.record({ what: fc.nat(3), atMs: fc.nat(1_000) });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const clock = new VirtualClock<number>();
    const entries = [];
    let lastMs = 0;
    for (const [i, { what, atMs }] of steps.entries()) {
      const entry = entries[atMs % (entries.length + 1)];
      if (what === 0) entries.push(clock.at(atMs, i));
      else if (what === 1 && entry) clock.move(entry, atMs);
      else if (what === 2 && entry) clock.cancel(entry);
      else clock.next(atMs);
      assert.ok(clock.nowMs >= lastMs);
      lastMs = clock.nowMs;
    }
  }));
});
