import assert from "node:assert/strict";
import {
  ALL_FAULTS,
  type FaultClass,
  type FaultMask,
} from "../../lib/sim/faults.ts";
import { type LinkProfile, Network } from "../../lib/sim/network.ts";

function network(
  profile: Partial<LinkProfile>,
  mask: FaultMask = ALL_FAULTS,
): Network {
  const made = new Network({ seed: 7, profile, mask });
  for (let i = 0; i < 4; i++) made.addNode();
  return made;
}

/** Fates of many packets from node 0 to node 1, copied. */
function fates(from: Network, count = 10_000) {
  return Array.from({ length: count }, () => ({ ...from.packetFate(0, 1) }));
}

function without(fault: FaultClass): FaultMask {
  return new Set([...ALL_FAULTS].filter((other) => other !== fault));
}

Deno.test("packetFate() delays every packet of a calm network within its limits", () => {
  for (
    const { copies, delayMs } of fates(network({ tailChance: 0.1, tailMs: 20 }))
  ) {
    assert.equal(copies, 1);
    assert.ok(delayMs >= 0.25 && delayMs < 0.25 + 0.5 + 20);
  }
});

Deno.test("packetFate() loses and doubles packets as often as told, and counts them", () => {
  const noisy = network({ loss: 0.2, duplication: 0.1 });
  const all = fates(noisy);
  const lost = all.filter(({ copies }) => copies === 0).length;
  const doubled = all.filter(({ copies }) => copies === 2).length;
  assert.ok(lost > 1_800 && lost < 2_200, `${lost} lost`);
  assert.ok(doubled > 700 && doubled < 900, `${doubled} doubled`);
  assert.equal(noisy.counts.loss, lost);
  assert.equal(noisy.counts.duplication, doubled);
});

Deno.test("packetFate() holds packets back long enough to be overtaken", () => {
  const noisy = network({ reordering: 0.5, reorderMs: 100 });
  const late = fates(noisy).filter(({ delayMs }) => delayMs > 10.75).length;
  assert.ok(late > 4_000, `${late} late`);
  assert.ok(noisy.counts.reordering >= late);
});

Deno.test("a class that is switched off changes nothing but itself", () => {
  const noise = { loss: 0.2, duplication: 0.2, reordering: 0.2 };
  const all = fates(network(noise), 1_000);
  const lossless = fates(network(noise, without("loss")), 1_000);
  for (const [i, fate] of all.entries()) {
    if (fate.copies !== 0) assert.deepEqual(lossless[i], fate);
  }
  assert.ok(lossless.every(({ copies }) => copies > 0));
  assert.ok(all.some(({ copies }) => copies === 0));
});

Deno.test("setNoise() ends and restores loss without moving later draws", () => {
  const steady = network({ loss: 0.3 });
  const switched = network({ loss: 0.3 });
  const expected = fates(steady, 200).slice(100);
  switched.setNoise(false);
  assert.ok(fates(switched, 100).every(({ copies }) => copies === 1));
  switched.setNoise(true);
  assert.deepEqual(
    fates(switched, 100).map(({ copies }) => copies),
    expected.map(({ copies }) => copies),
  );
});

Deno.test("partition() cuts between groups in both directions, heal() ends it", () => {
  const cut = network({});
  cut.partition([0, 1, 0, 1]);
  assert.equal(cut.packetFate(0, 1).copies, 0);
  assert.equal(cut.packetFate(1, 0).copies, 0);
  assert.equal(cut.packetFate(0, 2).copies, 1);
  assert.equal(cut.streamDelayMs(0, 1), undefined);
  assert.equal(cut.counts.partition, 3);
  cut.heal();
  assert.equal(cut.packetFate(0, 1).copies, 1);
});

Deno.test("block() cuts one direction only", () => {
  const cut = network({});
  cut.block(0, 1);
  assert.equal(cut.packetFate(0, 1).copies, 0);
  assert.equal(cut.packetFate(1, 0).copies, 1);
  assert.equal(cut.isCut(0, 1), true);
  assert.equal(cut.isCut(1, 0), false);
  assert.equal(cut.counts.oneWay, 1);
});

Deno.test("streamDelayMs() sends lost pieces again, later each time", () => {
  const noisy = network({ loss: 0.5, tailChance: 0 });
  const delays = Array.from(
    { length: 10_000 },
    () => noisy.streamDelayMs(0, 1),
  );
  const share = (atLeast: number, below: number) =>
    delays.filter((ms) => ms !== undefined && ms >= atLeast && ms < below)
      .length / delays.length;
  assert.ok(Math.abs(share(0, 1) - 1 / 2) < 0.02);
  assert.ok(Math.abs(share(200, 201) - 1 / 4) < 0.02);
  assert.ok(Math.abs(share(600, 601) - 1 / 8) < 0.02);
});

Deno.test("chunkBytes() splits only when told to, into pieces of at least one byte", () => {
  assert.equal(network({}).chunkBytes(0, 5_000), 5_000);
  const split = network({ chunkBytesMax: 10 });
  for (let i = 0; i < 1_000; i++) {
    const bytes = split.chunkBytes(0, 7);
    assert.ok(bytes >= 1 && bytes <= 7);
  }
});

Deno.test("a Network made with ways of their own takes packets and streams over those", () => {
  const profile = { jitterMs: 0, tailChance: 0 };
  const pathMs = (from: number, to: number) => 10 * Math.abs(from - to);
  const made = new Network({ seed: 7, profile, pathMs });
  for (let i = 0; i < 4; i++) made.addNode();
  assert.equal(made.packetFate(0, 3).delayMs, 30);
  assert.equal(made.packetFate(3, 0).delayMs, 30);
  assert.equal(made.packetFate(1, 2).delayMs, 10);
  assert.equal(made.streamDelayMs(0, 2), 20);
});

Deno.test("packetFate() counts packets that take much longer than others", () => {
  const made = network({ tailChance: 0.1, tailMs: 1_000, jitterMs: 0 });
  const late = fates(made).filter(({ delayMs }) => delayMs > 0.25).length;
  assert.ok(late > 900 && late < 1_100, `${late} late`);
  assert.equal(made.counts.tail, late);
  const calm = network({ tailChance: 0.1, tailMs: 1_000 }, without("tail"));
  fates(calm);
  assert.equal(calm.counts.tail, 0);
});

Deno.test("partition() with a bridge cuts all pairs but those of the bridge", () => {
  const cuts = (isHeard: boolean) => {
    const made = network({});
    const bridge = { node: 1, isHeard };
    made.partition([0, 0, 1, 1], { bridge, fault: "bridge" });
    const pairs: string[] = [];
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) {
        if (made.isCut(from, to)) pairs.push(`${from}>${to}`);
      }
    }
    return pairs;
  };
  const sides = ["0>2", "0>3", "2>0", "3>0"];
  assert.deepEqual(cuts(true), sides);
  assert.deepEqual(cuts(false), [...sides, "1>2", "1>3"].sort());
});

Deno.test("partition() counts what it drops under its own class, and obeys the mask", () => {
  const made = network({});
  made.partition([0, 1, 2, 0], { fault: "threeWay" });
  made.packetFate(0, 1);
  made.partition([0, 1, 0, 0], { fault: "isolation" });
  made.packetFate(0, 1);
  made.streamDelayMs(1, 2);
  const { threeWay, isolation, partition } = made.counts;
  assert.deepEqual([threeWay, isolation, partition], [1, 2, 0]);
  const masked = network({}, without("threeWay"));
  masked.partition([0, 1, 2, 0], { fault: "threeWay" });
  assert.equal(masked.isCut(0, 1), false);
});
