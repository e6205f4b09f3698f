/**
 * Crashes: whatever the disk kept of a snapshot, a node starts with it, finds back,
 * and goes on writing without losing anything.
 *
 * Method. A real agent's file and one of ours are cut at every byte. Each cut is
 * read as it is, with garbage behind it, and with runs of NULs behind it, as file
 * systems leave them that had noted the new length but not the contents; and runs
 * of NULs are put into the middle. What must come out is said by a second, simple
 * reader that is given the complete lines alone.
 */

import assert from "node:assert/strict";
import { concatBytes, utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { readSnapshot } from "../../lib/serf/snapshot_file.ts";
import { Cluster } from "./cluster.ts";
import { Life, readText, recordedText, stateOf } from "./snapshots.ts";

const PLAIN = { rejoinAfterLeave: false };
const NUL_RUNS = [1, 7, 4_096].map((length) => new Uint8Array(length));
/** No line break among it, so it can but be the beginning of a line. */
const GARBAGE = Uint8Array.of(0xff, 0x20, 0x61, 0x80, 0x0d, 0x3a, 0x20, 0xc3);

/** The same as lines of its own. */
const GARBAGE_LINES = concatBytes([GARBAGE, utf8Bytes("\n\n"), GARBAGE]);

/** A file of ours: members of both families, a compaction, and a leave. */
function ourFile(): string {
  const life = new Life("", { compactBytesMin: 100 });
  life.member("member-join", "b", "10.0.0.2:7946");
  life.member("member-join", "us", "10.0.0.1:7946");
  for (let i = 0n; i < 12n; i++) life.userEvent(i);
  life.member("member-join", "caf\u00e9 au lait", "[fd00::5]:7946");
  life.member("member-failed", "caf\u00e9 au lait");
  life.query(900n);
  life.clock(7n);
  life.leave();
  life.clock(8n);
  return new Life(life.text).text;
}

const FILES: [string, string][] = [
  ["a real agent's file", recordedText("snapshot_real_a_09_after_sigint")],
  [
    "a real agent's file that rejoined",
    recordedText("snapshot_real_r_02_rejoined"),
  ],
  ["a file of ours", ourFile()],
];

/** What complete lines say; they have no mistakes in them. */
function simply(lines: readonly string[]): ReturnType<typeof stateOf> {
  const clocks = { clock: 0n, eventClock: 0n, queryClock: 0n };
  const members = new Map<string, string>();
  for (const line of lines) {
    if (line === "leave") {
      members.clear();
      clocks.clock = clocks.eventClock = clocks.queryClock = 0n;
      continue;
    }
    const [key = "", rest = ""] = line.split(/: (.*)/s);
    if (key === "not-alive") members.delete(rest);
    else if (key === "# failed") continue;
    else if (key === "clock") clocks.clock = BigInt(rest);
    else if (key === "event-clock") clocks.eventClock = BigInt(rest);
    else if (key === "query-clock") clocks.queryClock = BigInt(rest);
    else {
      assert.equal(key, "alive", line);
      const [name = "", address = ""] = rest.split(/ (?=[^ ]*$)/);
      members.set(name, address);
    }
  }
  return { alive: [...members].sort(), ...clocks };
}

/** Whole lines of a text; what follows the last line break is none. */
function wholeLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

/** Reads what a crash left, then lives on with it, and reads again. */
function checkCrash(
  bytes: Uint8Array,
  expected: ReturnType<typeof stateOf>,
  isDamaged: boolean,
): void {
  const snapshot = readSnapshot(bytes, PLAIN);
  assert.deepEqual(stateOf(snapshot), expected);
  assert.equal(snapshot.isDamaged, isDamaged);
  if (!isDamaged) assert.deepEqual(snapshot.complaints, []);
  // The driver keeps the complete lines, whether or not the rewriting works.
  const kept = utf8Text(bytes.subarray(0, snapshot.bytes));
  for (const file of [kept, new Life(utf8Text(bytes)).text]) {
    const after = readText(`${file}alive: new 1.1.1.1:1\nclock: 99\n`);
    const { alive, ...clocks } = expected as {
      alive: [string, string][];
      clock: bigint;
    };
    assert.deepEqual(stateOf(after), {
      ...clocks,
      alive: [...alive, ["new", "1.1.1.1:1"]].sort(),
      clock: 99n,
    });
  }
}

for (const [what, text] of FILES) {
  const bytes = utf8Bytes(text);

  Deno.test(`a crash at any byte of ${what} costs the torn line alone`, () => {
    assert.ok(wholeLines(text).length >= 9, "the file has something in it");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const head = bytes.subarray(0, cut);
      const lines = wholeLines(utf8Text(head));
      const expected = simply(lines);
      const isTorn = cut > 0 && head.at(-1) !== 0x0a;
      checkCrash(head, expected, isTorn);
      checkCrash(concatBytes([head, GARBAGE]), expected, true);
      const withLines = concatBytes([head, GARBAGE_LINES]);
      assert.deepEqual(stateOf(readSnapshot(withLines, PLAIN)), expected);
      for (const run of NUL_RUNS) {
        checkCrash(concatBytes([head, run]), expected, true);
      }
    }
  });

  Deno.test(`NULs at any byte of ${what} cost the line that they stand in`, () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)];
      const before = wholeLines(utf8Text(head));
      // The rest of that line is lost: here it was overwritten by the run.
      const lineEnd = tail.indexOf(0x0a);
      const rest = head.length === 0 || head.at(-1) === 0x0a
        ? tail
        : tail.subarray(lineEnd + 1);
      const expected = simply([...before, ...wholeLines(utf8Text(rest))]);
      for (const run of NUL_RUNS) {
        checkCrash(concatBytes([head, run, rest]), expected, true);
      }
    }
  });
}

Deno.test("a node starts with what any crash left, and finds back if anybody is known", () => {
  const file = utf8Bytes(
    "alive: us 10.0.0.2:7946\nalive: peer 10.0.0.1:7946\nclock: 3\n" +
      "event-clock: 2\nquery-clock: 4\n",
  );
  const tails = [new Uint8Array(0), GARBAGE, GARBAGE_LINES, ...NUL_RUNS];
  let returned = 0;
  for (let cut = 0; cut <= file.length; cut++) {
    const tail = tails[cut % tails.length] as Uint8Array;
    const disk = concatBytes([file.subarray(0, cut), tail]);
    const cluster = new Cluster();
    const peer = cluster.start("peer");
    const old = cluster.make("us");
    const us = cluster.revive(old, { disk });
    assert.ok(us.events.includes("member-join: us(alive)"));
    const isKnown = readSnapshot(disk, PLAIN).members.has("peer");
    if (isKnown) {
      returned++;
      const isBack = () => peer.statuses().includes("us: alive");
      cluster.runUntil(isBack, 5_000, `back after a cut at ${cut}`);
    } else {
      cluster.run(5_000);
      assert.deepEqual(peer.statuses(), ["peer: alive"]);
    }
    // Whatever stood there, the file is a sound one again.
    const { isDamaged, members } = readText(us.disk);
    assert.equal(isDamaged, false);
    assert.equal(members.get("us"), "10.0.0.2:7946");
    assert.equal(members.has("peer"), isKnown);
  }
  assert.ok(returned > 20 && returned < file.length);
});
