/** Recording: which lines are written, when, and what they amount to. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { LINE_BYTES_MAX } from "../../lib/serf/snapshot_file.ts";
import { Cluster } from "./cluster.ts";
import { FILES, Life, readText, recordedText, stateOf } from "./snapshots.ts";

/** Makes a life do what a real node must have done to write such a line. */
function play(life: Life, line: string): void {
  const [, word = "", rest = ""] = /^([a-z-]+):? ?(.*)$/.exec(line) ?? [];
  const [name = "", address] = rest.split(" ");
  switch (word) {
    case "alive":
      return life.member("member-join", name, address);
    case "not-alive":
      return life.member("member-failed", name);
    case "clock":
      return life.clock(BigInt(rest));
    case "event-clock":
      return life.userEvent(BigInt(rest));
    case "query-clock":
      return life.query(BigInt(rest));
    case "leave":
      return life.leave();
    default:
      throw new Error(`No node writes ${JSON.stringify(line)}`);
  }
}

const REAL = FILES.map(({ name }) => name).filter((name) =>
  name.startsWith("snapshot_real_")
);

Deno.test("Snapshot writes what a real agent wrote of the same events", () => {
  assert.equal(REAL.length, 14);
  for (const name of REAL) {
    const text = recordedText(name);
    // A line that follows a leave and its clock was written by the next life.
    const lives = text.split(/(?<=^leave\nclock: \d+\n)/m);
    let life = new Life("");
    lives.forEach((lines, i) => {
      if (i > 0) life = new Life(life.text);
      for (const line of lines.trimEnd().split("\n")) play(life, line);
    });
    // Ours notes beside it, in a comment, where a failed member was.
    const common = life.text.replaceAll(/^# failed: .*\n/gm, "");
    assert.equal(common, text, name);
  }
});

Deno.test("Snapshot compacts as the real library does (`snapshot_compaction_256`)", () => {
  const life = new Life("", { compactBytesMin: 256 });
  life.parts.core.clock.witness(99n);
  life.member("member-join", "n1", "127.0.0.1:7001");
  for (let ltime = 1n; ltime <= 40n; ltime++) life.userEvent(ltime);
  assert.equal(life.text, recordedText("snapshot_compaction_256"));
  assert.ok(life.writes.includes("replace sync"));
});

Deno.test("Snapshot counts compaction in bytes of the file it was given, too", () => {
  const before = `# ${"x".repeat(300)}\nclock: 1\n`;
  const life = new Life(before, { compactBytesMin: 330 });
  life.userEvent(1n);
  assert.deepEqual(life.writes, ["append"]);
  life.member("member-join", "\u00e9", "[fd00::1]:7946");
  assert.deepEqual(life.writes, ["append", "append", "replace sync"]);
  assert.equal(
    life.text,
    "alive: \u00e9 [fd00::1]:7946\nclock: 1\nevent-clock: 1\nquery-clock: 0\n",
  );
});

Deno.test("Snapshot lets a file grow with the members, and to twice what it must be", () => {
  const life = new Life("", { compactBytesMin: 1_000 });
  for (let i = 0; i < 20; i++) life.member("member-join", `n${i}`);
  for (let i = 1n; life.text.length < 5_000; i++) life.userEvent(i);
  // 20 members may have 5120 bytes; upstream has the same limit.
  assert.ok(!life.writes.includes("replace sync"));
  const long = new Life("", { compactBytesMin: 1_000 });
  for (let i = 0; i < 20; i++) {
    long.member("member-join", `${"x".repeat(400)}${i}`);
  }
  for (let i = 1n; i < 100n; i++) long.userEvent(i);
  const replaced = long.writes.filter((write) => write === "replace sync");
  // Upstream would rewrite these 9 KB at each of the last hundred lines.
  assert.ok(replaced.length <= 4, `${replaced.length} times`);
});

Deno.test("Snapshot records neither updates nor reaps, but looks at the clock", () => {
  const life = new Life("");
  life.parts.core.clock.witness(4n);
  life.member("member-update", "a");
  assert.equal(life.text, "clock: 4\n");
  life.parts.core.clock.witness(5n);
  life.member("member-reap", "a");
  assert.equal(life.text, "clock: 4\nclock: 5\n");
});

Deno.test("Snapshot sets a timer for a clock that moved, until its line is written", () => {
  const life = new Life("");
  const { core } = life.parts;
  life.snapshot.watchClock(0);
  assert.equal(core.deadlines.nextMs(), undefined);
  core.clock.witness(4n);
  life.snapshot.watchClock(10);
  life.snapshot.watchClock(400);
  assert.equal(core.deadlines.nextMs(), 510);
  life.member("member-update", "a");
  assert.equal(core.deadlines.nextMs(), undefined);
  life.snapshot.watchClock(450);
  assert.equal(core.deadlines.nextMs(), undefined);
});

Deno.test("Snapshot writes a line for each member of an event", () => {
  const life = new Life("");
  life.member("member-join", "a", "1.1.1.1:1");
  life.member("member-join", "b", "1.1.1.1:2");
  life.member("member-leave", "a");
  assert.equal(
    life.text,
    "alive: a 1.1.1.1:1\nalive: b 1.1.1.1:2\nnot-alive: a\n",
  );
});

Deno.test("Snapshot keeps the address of a failed member until it is forgotten", () => {
  const life = new Life("");
  life.member("member-join", "a", "1.1.1.1:1");
  life.member("member-failed", "a", "1.1.1.1:1");
  assert.equal(
    life.text,
    "alive: a 1.1.1.1:1\nnot-alive: a\n# failed: a 1.1.1.1:1\n",
  );
  const failed = () => [...readText(life.text).failed];
  assert.deepEqual(failed(), [["a", "1.1.1.1:1"]]);
  for (const end of ["member-join", "member-leave", "member-reap"] as const) {
    life.member("member-failed", "a", "1.1.1.1:1");
    life.snapshot.rewrite();
    life.take();
    assert.deepEqual(failed(), [["a", "1.1.1.1:1"]]);
    life.member(end, "a", "1.1.1.1:1");
    assert.deepEqual(failed(), [], end);
    assert.equal(
      readText(life.text).members.size,
      end === "member-join" ? 1 : 0,
    );
  }
  life.member("member-failed", "a", "1.1.1.1:1");
  life.leave();
  assert.deepEqual(failed(), []);
  const again = readText(life.text, { rejoinAfterLeave: true });
  assert.deepEqual([...again.failed], [["a", "1.1.1.1:1"]]);
});

Deno.test("Snapshot keeps 1,024 failed members, the newest, and reads as many", () => {
  const life = new Life("");
  for (let i = 0; i < 1_030; i++) life.member("member-failed", `n${i}`);
  assert.equal(readText(life.text).failed.size, 1_024);
  life.snapshot.rewrite();
  life.take();
  const { failed, complaints } = readText(life.text);
  assert.equal(failed.size, 1_024);
  assert.equal([...failed.keys()][0], "n6");
  assert.deepEqual(complaints, []);
  assert.equal(readText("# failed: \n# failed: x\n# y\n").failed.size, 0);
});

Deno.test("Snapshot never goes back with a clock, and not past the end of time", () => {
  const life = new Life("clock: 9\nevent-clock: 8\nquery-clock: 7\n");
  life.clock(3n);
  life.userEvent(8n);
  life.query(6n);
  assert.deepEqual(life.writes, []);
  assert.equal(life.parts.core.clock.time, 10n);
  assert.equal(life.parts.core.eventClock.time, 9n);
  assert.equal(life.parts.core.queryClock.time, 8n);
  // The clock wraps to zero, of which there is no time before.
  life.clock(0xffff_ffff_ffff_ffffn);
  assert.equal(life.parts.core.clock.time, 0n);
  assert.deepEqual(life.writes, []);
});

Deno.test("Snapshot does not let a member write lines of its own", () => {
  const life = new Life("");
  const names = [
    "evil\nleave",
    "evil 1.1.1.1:1\nclock: 18446744073709551615",
    "x\0leave",
    "x".repeat(LINE_BYTES_MAX),
    "\u00e9".repeat(LINE_BYTES_MAX / 2),
  ];
  for (const name of names) {
    life.member("member-join", name);
    life.member("member-failed", name);
  }
  assert.equal(life.text, "");
  assert.deepEqual(life.parts.takeLog(), [
    '[WARN] serf: Cannot record members with a name like "evil\\nleave" in the snapshot',
  ]);
  // Longest name that the SWIM layer lets in.
  life.member("member-join", "\u4e16".repeat(512));
  life.snapshot.rewrite();
  life.take();
  assert.equal(readText(life.text).members.size, 1);
});

Deno.test("Snapshot records only the member clock after a leave", () => {
  const life = new Life("");
  life.member("member-join", "a");
  life.leave();
  assert.deepEqual(life.writes, ["append", "append sync"]);
  life.member("member-join", "b");
  life.member("member-leave", "a");
  life.userEvent(5n);
  life.query(5n);
  life.clock(5n);
  assert.equal(life.text, "alive: a 10.0.0.1:7946\nleave\nclock: 5\n");
});

for (const rejoinAfterLeave of [false, true]) {
  Deno.test(`Snapshot means the same after a leave and a compaction (rejoinAfterLeave ${rejoinAfterLeave})`, () => {
    const life = new Life("", { rejoinAfterLeave });
    life.member("member-join", "a");
    life.member("member-join", "b");
    life.userEvent(3n);
    life.query(4n);
    life.clock(5n);
    life.leave();
    life.clock(6n);
    const long = life.text;
    life.snapshot.rewrite();
    life.take();
    for (const mode of [false, true]) {
      const options = { rejoinAfterLeave: mode };
      assert.deepEqual(
        stateOf(readText(life.text, options)),
        stateOf(readText(long, options)),
      );
    }
    assert.equal(readText(life.text).members.size, 0);
    const again = readText(life.text, { rejoinAfterLeave: true });
    assert.equal(again.members.size, 2);
  });
}

Deno.test("Snapshot replaces a damaged file before it adds to it", () => {
  const life = new Life("alive: a 1.1.1.1:1\nclock: 3\0\0clock: 2\nalive: b");
  const mended =
    "alive: a 1.1.1.1:1\nclock: 2\nevent-clock: 0\nquery-clock: 0\n";
  assert.equal(life.text, mended);
  assert.deepEqual(life.writes, ["replace sync"]);
  assert.match(life.parts.takeLog().join(), /damaged: cut 18 bytes/);
  life.member("member-join", "c", "1.1.1.1:3");
  assert.equal(life.text, `${mended}alive: c 1.1.1.1:3\n`);
});

Deno.test("Snapshot keeps as many members as the SWIM layer, the newest", () => {
  const swim = { membersMax: 2 };
  const cluster = new Cluster();
  const text = "alive: x 9.9.9.9:1\nalive: y 9.9.9.9:2\n";
  const node = cluster.make("self", {
    snapshot: { restored: readText(text) },
  }, swim);
  cluster.call(node, (engine, nowMs) => engine.start(nowMs));
  cluster.call(node, (engine) => engine.rewriteSnapshot());
  assert.deepEqual([...readText(node.disk).members.keys()], ["y", "self"]);
});

/** Anything that is recorded, as a line that `play` understands. */
const happenings = fc.array(
  fc.oneof(
    fc.record({
      word: fc.constantFrom("alive", "not-alive"),
      // The line break is what a hostile name would hold.
      name: fc.string({
        unit: fc.constantFrom("a", "b", "\n", "\u00e9", "#"),
        minLength: 1,
        maxLength: 3,
      }),
    }),
    fc.record({
      word: fc.constantFrom("clock", "event-clock", "query-clock"),
      ltime: fc.bigInt(0n, 100n),
    }),
  ),
  { maxLength: 60 },
);

Deno.test("Snapshot: what was written reads as what happened", () => {
  fc.assert(
    fc.property(
      happenings,
      fc.integer({ min: 20, max: 400 }),
      fc.boolean(),
      (history, compactBytesMin, hasLeft) => {
        const life = new Life("", { compactBytesMin });
        const alive = new Map<string, string>();
        const failed = new Set<string>();
        const clocks = { clock: 0n, "event-clock": 0n, "query-clock": 0n };
        for (const happening of history) {
          const { word } = happening;
          if ("name" in happening) {
            const { name } = happening;
            const isAlive = word === "alive";
            life.member(isAlive ? "member-join" : "member-failed", name);
            if (!name.includes("\n") && isAlive) {
              alive.set(name, "10.0.0.1:7946");
              failed.delete(name);
            } else if (!isAlive) {
              alive.delete(name);
              if (!name.includes("\n")) failed.add(name);
            }
          } else {
            const { ltime } = happening;
            play(life, `${word}: ${ltime}`);
            const key = word as keyof typeof clocks;
            if (ltime > clocks[key]) clocks[key] = ltime;
          }
        }
        const expected = {
          alive: [...alive].sort(),
          clock: clocks.clock,
          eventClock: clocks["event-clock"],
          queryClock: clocks["query-clock"],
        };
        if (hasLeft) life.leave();
        const snapshot = readText(life.text, { rejoinAfterLeave: true });
        assert.deepEqual(stateOf(snapshot), expected);
        assert.deepEqual(
          [...snapshot.failed.keys()].sort(),
          [...failed].sort(),
        );
        assert.equal(snapshot.isDamaged, false);
        if (hasLeft) assert.equal(readText(life.text).members.size, 0);
        // The length by which it compacts is that of the file.
        life.snapshot.rewrite();
        life.take();
        assert.ok(
          utf8Bytes(life.text).length <=
            27 * alive.size + 30 * failed.size + 4 * 30,
          life.text,
        );
      },
    ),
    { numRuns: 300 },
  );
});
