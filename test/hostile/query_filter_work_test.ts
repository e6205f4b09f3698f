/**
 * Filters of queries cannot keep a node busy.
 *
 * Goal: whatever queries come, the work for the expressions in their filters stays
 * within what the limits say, and honest queries are answered all the same. Method:
 * a whole engine is sent the packets of an attack; its compiler counts how much it
 * is asked to compile, in units of `expressionSize`.
 */

import assert from "node:assert/strict";
import { expressionSize, type Matcher } from "../../lib/kit/expression.ts";
import { compileExpression } from "../../lib/kit/re2.ts";
import { NO_SERF_LIMITS, SERF_LIMITS } from "../../lib/serf/limits.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { encodeFilter } from "../../lib/wire/serf_messages.ts";
import { query } from "../serf/queries.ts";
import { packetOf, Victim } from "./traffic.ts";

const { filterWork, filterWorkPerSource, expressionsPerPacket } = SERF_LIMITS;
const STRANGER = "192.0.2.1:7946";
const TAGS = new Map([["role", "web-12"]]);

/** What was compiled, in units of work, and how often something was matched. */
class CountedCompiler {
  work = 0;
  calls = 0;
  matched = 0;

  readonly compile = (expression: string): Matcher => {
    this.work += expressionSize(expression);
    this.calls++;
    // The engine itself is not needed to count, and this keeps the test short.
    const isBomb = expressionSize(expression) > 500;
    const matches = isBomb ? () => false : compileExpression(expression);
    return (text) => {
      this.matched++;
      return matches(text);
    };
  };
}

let lastId = 0;

/** A query for the members whose role matches all the expressions. */
function asked(name: string, ...expressions: string[]) {
  const filters = expressions.map((expr) =>
    encodeFilter({ kind: "tag", tag: "role", expr })
  );
  lastId++;
  // One time holds 1,024 queries.
  return query(5n + BigInt(lastId >> 9), lastId, {
    name,
    filters,
    sourceNode: "",
  });
}

/** 400 queries with a filter of 4,000 states each. */
function bombs(count = 400): Uint8Array {
  return packetOf(
    Array.from(
      { length: count },
      () => asked("b", "a{0,990}".repeat(4)),
    ),
  );
}

/** The same, each expression a different one. */
function newBombs(count: number): Uint8Array {
  return packetOf(
    Array.from({ length: count }, () => {
      lastId++;
      return asked("b", `x${lastId}a{0,990}|`);
    }),
  );
}

function victimOf(): { victim: Victim; compiler: CountedCompiler } {
  const compiler = new CountedCompiler();
  const victim = new Victim({ tags: TAGS }, compiler.compile);
  return { victim, compiler };
}

function refusedBy(victim: Victim): number {
  return victim.engine.metrics.of(SERF_METRICS).filtersRefused.value;
}

Deno.test("a packet of 400 queries is no more work than a source may cause", () => {
  const { victim, compiler } = victimOf();
  const packet = bombs();
  assert.ok(packet.length < 8_000, `it has ${packet.length} bytes`);
  victim.packet(STRANGER, packet);
  assert.ok(compiler.work <= filterWorkPerSource.burst);
  assert.equal(compiler.calls, 1, "it is remembered");
  assert.equal(victim.engine.stats().get("query_queue"), "400");

  victim.packet(STRANGER, newBombs(400));
  assert.ok(compiler.work <= filterWorkPerSource.burst);
  assert.ok(refusedBy(victim) > 300, "what is left out is counted");
  const lines = victim.log.filter((line) => line.includes("too much work"));
  assert.ok(
    lines.length > 0 && lines.length <= 10,
    "and logged, within limits",
  );
});

Deno.test("without limits the same packets are what they were: much work", () => {
  const compiler = new CountedCompiler();
  const options = { tags: TAGS, limits: NO_SERF_LIMITS };
  const victim = new Victim(options, compiler.compile);
  victim.packet(STRANGER, newBombs(400));
  assert.equal(compiler.calls, 400);
  assert.ok(compiler.work > 10 * filterWork.burst);
});

Deno.test("a minute of such packets is bounded, for one source and for many", () => {
  const seconds = 60;
  const cases = [
    { sources: 1, limit: filterWorkPerSource },
    { sources: 5_000, limit: filterWork },
  ];
  for (const { sources, limit } of cases) {
    const { victim, compiler } = victimOf();
    for (let i = 0; i < seconds * 5; i++) {
      const from = `192.0.${(i % sources) >> 8}.${i % sources & 255}:${
        1_024 + i
      }`;
      victim.packet(from, newBombs(40));
      victim.pass(200);
    }
    const most = limit.burst + limit.perSecond * seconds;
    assert.ok(compiler.work <= most, `${compiler.work} of ${most}`);
    assert.ok(compiler.work > most / 2, "the attack was one");
  }
});

Deno.test("a packet has so many expressions looked at, however small they are", () => {
  const { victim, compiler } = victimOf();
  const many = Array.from(
    { length: 400 },
    (_, i) => asked("many", `w.b|${i}`),
  );
  victim.packet(STRANGER, packetOf(many));
  assert.equal(compiler.calls, expressionsPerPacket);
  victim.packet(STRANGER, packetOf([asked("one", "w.b-12")]));
  assert.deepEqual(victim.seen.slice(-1), ["one"], "the next one begins anew");
});

Deno.test("matching is paid for too", () => {
  const compiler = new CountedCompiler();
  const tags = new Map([["role", "a".repeat(480)]]);
  const victim = new Victim({ tags }, compiler.compile);
  for (let i = 0; i < 100; i++) {
    victim.packet(
      STRANGER,
      packetOf(Array.from({ length: 64 }, () => asked("b", "(a?){300}!"))),
    );
  }
  assert.equal(compiler.calls, 1);
  assert.ok(compiler.matched < 10, `it was matched ${compiler.matched} times`);
});

Deno.test("queries that are refused are passed on", () => {
  const { victim } = victimOf();
  victim.packet(STRANGER, newBombs(400));
  assert.equal(victim.engine.stats().get("query_queue"), "400");
});

Deno.test("honest queries are answered while somebody attacks", () => {
  const { victim } = victimOf();
  victim.packet("10.0.0.2:7946", packetOf([asked("known", "^web-[0-9]+$")]));
  for (let i = 0; i < 100; i++) {
    victim.packet(`192.0.2.${i}:7946`, newBombs(40));
  }
  victim.outputs.length = 0;
  victim.packet(STRANGER, packetOf([asked("plain", "web")]));
  victim.packet(STRANGER, packetOf([asked("known", "^web-[0-9]+$")]));
  const filterTags = new Map([["role", "^web.*2$"]]);
  victim.call((engine, nowMs) =>
    engine.query({ name: "own", filterTags }, nowMs)
  );
  assert.deepEqual(victim.seen, ["plain", "known", "own"]);
  // After a few seconds there is room for what is new as well.
  victim.pass(2_000);
  victim.packet("10.0.0.2:7946", packetOf([asked("new", "^web-\\d{2,4}$")]));
  assert.deepEqual(victim.seen.slice(-1), ["new"]);
});

Deno.test("queries that waited for the compiler are no more work than others", () => {
  const compiler = new CountedCompiler();
  const victim = new Victim({ tags: TAGS });
  victim.packet(STRANGER, newBombs(400));
  const wanted = victim.outputs.filter(({ kind }) => kind === "compilerWanted");
  assert.equal(wanted.length, 1);
  victim.engine.provideCompiler(compiler.compile, victim.nowMs);
  assert.ok(compiler.calls > 0);
  assert.ok(compiler.work <= filterWorkPerSource.burst);
});
