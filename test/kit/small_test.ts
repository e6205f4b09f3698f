/** Tests of the small files of lib/kit: assert, bytes, line limit, log, random, ring. */

import assert from "node:assert/strict";
import {
  assert as check,
  AssertionError,
  defined,
} from "../../lib/kit/assert.ts";
import {
  bytesOfHex,
  concatBytes,
  equalBytes,
  hexOf,
  utf8Bytes,
  utf8Text,
} from "../../lib/kit/bytes.ts";
import { LineLimit } from "../../lib/kit/line_limit.ts";
import { logLevelRank, parseLogLevel } from "../../lib/kit/log.ts";
import { Random } from "../../lib/kit/random.ts";
import { Ring } from "../../lib/kit/ring.ts";

Deno.test("assert() and defined() throw AssertionError", () => {
  check(true, "fine");
  assert.throws(() => check(false, "the sky is up"), AssertionError);
  assert.equal(defined(0, "zero"), 0);
  assert.throws(() => defined(undefined, "it"), /it is undefined/);
});

Deno.test("bytes: hexadecimal, text, equality, concatenation", () => {
  assert.equal(hexOf(bytesOfHex("00ff7F")), "00ff7f");
  for (const bad of ["0", "0g", "zz"]) {
    assert.throws(() => bytesOfHex(bad), { name: "SyntaxError" });
  }
  assert.equal(utf8Text(utf8Bytes("grün")), "grün");
  assert.equal(utf8Text(utf8Bytes("\ufeffa")), "\ufeffa", "as in Go");
  assert.ok(
    equalBytes(
      concatBytes([bytesOfHex("01"), bytesOfHex("0203")]),
      bytesOfHex("010203"),
    ),
  );
  assert.ok(!equalBytes(bytesOfHex("01"), bytesOfHex("0100")));
  assert.ok(!equalBytes(bytesOfHex("01"), bytesOfHex("02")));
});

Deno.test("parseLogLevel() takes any case and refuses other words", () => {
  assert.equal(parseLogLevel("info"), "INFO");
  assert.equal(parseLogLevel("Err"), "ERR");
  assert.equal(parseLogLevel("CRIT"), undefined);
  assert.equal(parseLogLevel(""), undefined);
  assert.ok(logLevelRank("TRACE") < logLevelRank("ERR"));
});

Deno.test("Random is a function of its seed", () => {
  const draw = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 20 }, () => random.uint32());
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.notDeepEqual(draw(1), draw(1 + 2 ** 40));
});

Deno.test("Random.below() covers its range evenly", () => {
  const random = new Random(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const drawn = random.below(10);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
  }
  // Seven standard deviations around 10,000.
  for (const count of counts) {
    assert.ok(Math.abs(count - 10_000) < 700, `${counts}`);
  }
});

Deno.test("Random.shuffle() permutes, and every place gets every item", () => {
  const random = new Random(3);
  const seen = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const items = ["a", "b", "c"];
    random.shuffle(items);
    assert.deepEqual([...items].sort(), ["a", "b", "c"]);
    seen.add(items.join(""));
  }
  assert.equal(seen.size, 6);
});

Deno.test("Ring keeps the newest items, oldest first", () => {
  const ring = new Ring<number>(3);
  assert.deepEqual(ring.toArray(), []);
  for (let i = 1; i <= 5; i++) ring.push(i);
  assert.deepEqual(ring.toArray(), [3, 4, 5]);
  assert.equal(ring.size, 3);
  assert.throws(() => new Ring(0), { name: "RangeError" });
});

Deno.test("LineLimit lets ten lines of a window through and tells of the others", () => {
  const limit = new LineLimit();
  assert.equal(limit.isIdle, true);
  const admitted = Array.from({ length: 12 }, () => limit.admit());
  assert.equal(admitted.filter((isAdmitted) => isAdmitted).length, 10);
  assert.equal(limit.isIdle, false);
  assert.equal(
    limit.endWindow(),
    "2 more messages were refused in the last second",
  );
  assert.equal(limit.isIdle, true);
  limit.admit();
  assert.equal(limit.endWindow(), undefined);
});
