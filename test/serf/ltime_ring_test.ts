import assert from "node:assert/strict";
import fc from "fast-check";
import { LamportClock } from "../../lib/serf/lamport.ts";
import { LTimeRing } from "../../lib/serf/ltime_ring.ts";

const UNLIMITED = {
  itemsPerTimeMax: Number.POSITIVE_INFINITY,
  weightMax: Number.POSITIVE_INFINITY,
  weigh: () => 1,
  keyOf: (item: string | number) => item,
};

/** Judges an item as an engine does: old, seen, or new and then remembered. */
function judge(
  ring: LTimeRing<number>,
  clock: LamportClock,
  ltime: bigint,
  item: number,
): "old" | "seen" | "new" | "refused" {
  clock.witness(ltime);
  if (ring.isOld(ltime, clock.time)) return "old";
  if (ring.has(ltime, item)) return "seen";
  return ring.add(ltime, item) ? "new" : "refused";
}

Deno.test("LTimeRing needs a slot", () => {
  assert.throws(() => new LTimeRing({ slots: 0, ...UNLIMITED }), RangeError);
});

Deno.test("LTimeRing agrees with a model that remembers everything", () => {
  const arrival = fc.record({
    ltime: fc.bigInt({ min: 0n, max: 60n }),
    item: fc.nat({ max: 2 }),
  });
  const slots = fc.integer({ min: 1, max: 20 });
  fc.assert(fc.property(slots, fc.array(arrival), (slots, arrivals) => {
    const ring = new LTimeRing<number>({ slots, ...UNLIMITED });
    const clock = new LamportClock();
    const seen = new Set<string>();
    let latest = 0n;
    for (const { ltime, item } of arrivals) {
      if (ltime > latest) latest = ltime;
      const present = latest + 1n;
      const window = BigInt(slots);
      const key = `${ltime} ${item}`;
      const isOld = present > window && ltime < present - window;
      const expected = isOld ? "old" : seen.has(key) ? "seen" : "new";
      assert.equal(judge(ring, clock, ltime, item), expected);
      if (expected === "new") seen.add(key);
    }
  }));
});

Deno.test("LTimeRing.groups shows each remembered time in its slot", () => {
  const ring = new LTimeRing<string>({ slots: 4, ...UNLIMITED });
  ring.add(2n, "a");
  ring.add(2n, "b");
  ring.add(5n, "c");
  const groups = ring.groups.map((group) =>
    group && [group.ltime, ...group.items]
  );
  assert.deepEqual(groups, [undefined, [5n, "c"], [2n, "a", "b"], undefined]);
  ring.add(6n, "d");
  assert.ok(ring.has(6n, "d"));
  assert.ok(!ring.has(2n, "a"));
});

Deno.test("LTimeRing refuses more items of one time than it may hold", () => {
  const ring = new LTimeRing<number>({
    ...UNLIMITED,
    slots: 4,
    itemsPerTimeMax: 2,
  });
  assert.equal(ring.add(1n, 1), true);
  assert.equal(ring.add(1n, 2), true);
  assert.equal(ring.add(1n, 3), false);
  assert.equal(ring.add(2n, 3), true);
});

Deno.test("LTimeRing gives up its oldest times to stay under its weight", () => {
  const ring = new LTimeRing<number>({
    ...UNLIMITED,
    slots: 8,
    weightMax: 10,
    weigh: (item) => item,
  });
  assert.equal(ring.add(1n, 4), true);
  assert.equal(ring.add(2n, 4), true);
  assert.equal(ring.isOld(1n, 3n), false);
  assert.equal(ring.add(3n, 5), true);
  assert.equal(ring.weight, 9);
  // Time 1 gave way, so nobody knows any more what was seen with it.
  assert.equal(ring.isOld(1n, 4n), true);
  assert.equal(ring.isOld(2n, 4n), false);
  assert.ok(!ring.has(1n, 4));
});

Deno.test("LTimeRing refuses an item that would be the oldest of a full ring", () => {
  const ring = new LTimeRing<number>({
    ...UNLIMITED,
    slots: 8,
    weightMax: 10,
    weigh: (item) => item,
  });
  assert.equal(ring.add(5n, 8), true);
  assert.equal(ring.add(4n, 8), false);
  assert.equal(ring.add(5n, 8), false);
  assert.equal(ring.add(6n, 11), false);
  assert.ok(ring.has(5n, 8));
  assert.ok(!ring.has(4n, 8));
  assert.equal(ring.weight, 8);
});

Deno.test("LTimeRing delivers nothing twice, whatever its limits", () => {
  const arrival = fc.record({
    ltime: fc.bigInt({ min: 0n, max: 30n }),
    item: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(fc.property(fc.array(arrival, { maxLength: 200 }), (arrivals) => {
    const ring = new LTimeRing<number>({
      slots: 8,
      itemsPerTimeMax: 3,
      weightMax: 20,
      weigh: (item) => item,
      keyOf: (item) => item,
    });
    const clock = new LamportClock();
    const delivered = new Set<string>();
    for (const { ltime, item } of arrivals) {
      if (judge(ring, clock, ltime, item) !== "new") continue;
      const key = `${ltime} ${item}`;
      assert(!delivered.has(key), `${key} is new twice`);
      delivered.add(key);
      assert(ring.weight <= 20);
    }
  }));
});

Deno.test("LTimeRing starts anew when times do", () => {
  const ring = new LTimeRing<number>({
    ...UNLIMITED,
    slots: 8,
    weightMax: 10,
    weigh: (item) => item,
  });
  // The weight makes it give up times, so that there is a floor.
  for (const ltime of [100n, 101n, 102n]) ring.add(ltime, 5);
  assert.ok(ring.isOld(100n, 103n));
  ring.restart();
  assert.equal(ring.weight, 0);
  assert.ok(!ring.has(102n, 5));
  assert.ok(!ring.isOld(0n, 1n));
  assert.equal(ring.add(0n, 10), true);
});
