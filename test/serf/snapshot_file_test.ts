/** Reading snapshots: the recorded files, and whatever else a disk may hold. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, concatBytes, utf8Bytes } from "../../lib/kit/bytes.ts";
import {
  LINE_BYTES_MAX,
  noteMember,
  readSnapshot,
} from "../../lib/serf/snapshot_file.ts";
import { FILES, logOf, readText, stateOf } from "./snapshots.ts";

const PLAIN = { rejoinAfterLeave: false };

/** What the real library has after reading a file. */
interface Replay {
  readonly alive: Record<string, string>;
  readonly clock: number;
  readonly event_clock: number;
  readonly query_clock: number;
  readonly log: readonly string[];
}

/** Numbers of the recording; the one that JavaScript rounds is 2^64-1. */
function exactly(time: number): bigint {
  return Number.isSafeInteger(time) ? BigInt(time) : 0xffff_ffff_ffff_ffffn;
}

for (const entry of FILES) {
  Deno.test(`readSnapshot() reads ${entry.name} as Serf does, both ways`, () => {
    const bytes = bytesOfHex(entry.hex);
    const modes = [
      ["replay_default", false],
      ["replay_rejoin_after_leave", true],
    ] as const;
    for (const [key, rejoinAfterLeave] of modes) {
      const expected = entry.decoded[key] as Replay;
      const snapshot = readSnapshot(bytes, { rejoinAfterLeave });
      assert.deepEqual(stateOf(snapshot), {
        alive: Object.entries(expected.alive).sort(),
        clock: exactly(expected.clock),
        eventClock: exactly(expected.event_clock),
        queryClock: exactly(expected.query_clock),
      });
      const cut = logOf(snapshot).filter((line) => line.includes("damaged"));
      assert.deepEqual(
        logOf(snapshot).filter((line) => !cut.includes(line)),
        expected.log,
      );
      const isTorn = entry.hex !== "" && !entry.hex.endsWith("0a");
      assert.equal(snapshot.isDamaged, isTorn);
      assert.equal(cut.length, isTorn ? 1 : 0);
    }
  });
}

Deno.test("readSnapshot() keeps members in the order of their last lines", () => {
  const text = "alive: a 1.1.1.1:1\nalive: b 1.1.1.1:2\nalive: a 1.1.1.1:3\n";
  assert.deepEqual([...readText(text).members], [
    ["b", "1.1.1.1:2"],
    ["a", "1.1.1.1:3"],
  ]);
});

Deno.test("readSnapshot() cuts a torn line and says where", () => {
  const snapshot = readText("clock: 7\nclock: 12");
  assert.equal(snapshot.clock, 7n);
  assert.equal(snapshot.bytes, 9);
  assert.deepEqual(logOf(snapshot), [
    "[WARN] serf: Snapshot is damaged: cut 9 bytes at offset 9",
  ]);
});

Deno.test("readSnapshot() cuts NULs; before them is a torn line, behind them a new one", () => {
  const snapshot = readText(
    "clock: 7\nalive: a 1.1\0\0\0event-clock: 3\n\0\nquery-clock: 4\n\0\0",
  );
  assert.deepEqual(stateOf(snapshot), {
    ...{ alive: [], clock: 7n, eventClock: 3n, queryClock: 4n },
  });
  // The second run had a line of its own, of which the end is left.
  assert.deepEqual(logOf(snapshot), [
    "[WARN] serf: Snapshot is damaged: cut 18 bytes in 3 places, the first at offset 9",
  ]);
  assert.equal(snapshot.bytes, 56);
});

Deno.test("readSnapshot() skips lines that are too long or not text", () => {
  const long = `alive: ${"x".repeat(LINE_BYTES_MAX)} 1.1.1.1:1\n`;
  const snapshot = readSnapshot(
    concatBytes([
      utf8Bytes(long),
      Uint8Array.of(...utf8Bytes("alive: "), 0xff, 0xfe),
      utf8Bytes(" 1.1.1.1:2\n\uFEFFclock: 1\nclock: 2\n"),
    ]),
    PLAIN,
  );
  assert.deepEqual(stateOf(snapshot), {
    ...{ alive: [], clock: 2n, eventClock: 0n, queryClock: 0n },
  });
  assert.deepEqual(logOf(snapshot), [
    `[WARN] serf: Snapshot line of ${LINE_BYTES_MAX + 17} bytes is too long`,
    "[WARN] serf: Unrecognized snapshot line: alive: \uFFFD\uFFFD 1.1.1.1:2",
    "[WARN] serf: Unrecognized snapshot line: \uFEFFclock: 1",
  ]);
  assert.equal(snapshot.isDamaged, false);
});

Deno.test("readSnapshot() shows the beginning of what it complains about", () => {
  const [line] = logOf(readText(`${"x".repeat(1_000)}\n`));
  assert.equal(
    line,
    `[WARN] serf: Unrecognized snapshot line: ${"x".repeat(256)}...`,
  );
});

Deno.test("readSnapshot() complains a limited number of times", () => {
  const snapshot = readText("x\n".repeat(1_000) + "clock: 3\ntorn");
  const log = logOf(snapshot);
  assert.equal(log.length, 66);
  assert.deepEqual(log.slice(-2), [
    "[WARN] serf: 936 more complaints about the snapshot are left out",
    "[WARN] serf: Snapshot is damaged: cut 4 bytes at offset 2009",
  ]);
  assert.equal(snapshot.clock, 3n);
});

Deno.test("readSnapshot() notices an overflow before what is behind it, as Go does", () => {
  const parse = (text: string) =>
    logOf(readText(`clock: ${text}\n`)).map((line) =>
      line.slice(line.lastIndexOf(": ") + 2)
    );
  assert.deepEqual(parse("99999999999999999999x"), ["value out of range"]);
  assert.deepEqual(parse("9x"), ["invalid syntax"]);
  assert.deepEqual(parse(""), ["invalid syntax"]);
  assert.deepEqual(parse("\u0661"), ["invalid syntax"]);
  assert.deepEqual(parse("0018446744073709551615"), []);
});

Deno.test("readSnapshot() forgets the members named longest ago when there are too many", () => {
  const lines = ["a", "b", "c", "a", "d"].map((name) =>
    `alive: ${name} 1.1.1.1:1\n`
  );
  const options = { ...PLAIN, membersMax: 3 };
  const { members } = readSnapshot(utf8Bytes(lines.join("")), options);
  assert.deepEqual([...members.keys()], ["c", "a", "d"]);
  const table = new Map([["x", ""], ["y", ""], ["z", ""]]);
  noteMember(table, "w", "", 2);
  assert.deepEqual([...table.keys()], ["z", "w"]);
});

/** Bytes that are nearly a snapshot. */
const nearly = fc.array(
  fc.oneof(
    fc.constantFrom("alive: a 1.1.1.1:1\n", "not-alive: a\n", "clock: 5\n"),
    fc.constantFrom("leave\n", "event-clock: 6\n", "query-clock: x\n", "# \n"),
    fc.constantFrom("\0", "\0\0\0\n", "\n", "alive: ", " ", "leave"),
    fc.string({ unit: "binary" }),
  ).map(utf8Bytes),
).map(concatBytes);

Deno.test("readSnapshot() reads any bytes, within bounds", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 2_000 }), nearly),
      fc.boolean(),
      (bytes, rejoinAfterLeave) => {
        const options = { rejoinAfterLeave, membersMax: 5 };
        const snapshot = readSnapshot(bytes, options);
        assert.ok(snapshot.members.size <= 5);
        assert.ok(snapshot.complaints.length <= 66);
        assert.ok(snapshot.bytes <= bytes.length);
        assert.ok(snapshot.bytes === 0 || bytes[snapshot.bytes - 1] === 0x0a);
        // Complete lines, and they alone, are what it goes by.
        const complete = bytes.subarray(0, snapshot.bytes);
        assert.deepEqual(
          stateOf(readSnapshot(complete, options)),
          stateOf(snapshot),
        );
      },
    ),
    { numRuns: 500 },
  );
});
