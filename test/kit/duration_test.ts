import fc from "fast-check";
import assert from "node:assert/strict";
import { formatDuration, parseDuration } from "../../lib/kit/duration.ts";

Deno.test("parseDuration() understands Go's notation", () => {
  const cases: [text: string, ms: number][] = [
    ["0", 0],
    ["-0", 0],
    ["300ms", 300],
    ["1.5h", 5_400_000],
    ["2h45m", 9_900_000],
    ["-1m30s", -90_000],
    ["+5s", 5_000],
    [".5s", 500],
    ["1.s", 1_000],
    ["100ns", 0.0001],
    ["1us1\u00b5s1\u03bcs", 0.003],
  ];
  for (const [text, ms] of cases) {
    assert.ok(Math.abs(parseDuration(text) - ms) < 1e-9, text);
  }
});

Deno.test("parseDuration() complains in Go's words", () => {
  const cases: [text: string, complaint: string][] = [
    ["", 'time: invalid duration ""'],
    ["x", 'time: invalid duration "x"'],
    ["-", 'time: invalid duration "-"'],
    [".", 'time: invalid duration "."'],
    [".s", 'time: invalid duration ".s"'],
    ["1.2.3s", 'time: missing unit in duration "1.2.3s"'],
    ["5", 'time: missing unit in duration "5"'],
    ["5x", 'time: unknown unit "x" in duration "5x"'],
    ["5 s", 'time: unknown unit " s" in duration "5 s"'],
    ["3\u00fc", 'time: unknown unit "\\xc3\\xbc" in duration "3\\xc3\\xbc"'],
    ['1"', 'time: unknown unit "\\"" in duration "1\\""'],
    ["9999999h", 'time: invalid duration "9999999h"'],
  ];
  for (const [text, complaint] of cases) {
    assert.throws(() => parseDuration(text), {
      name: "SyntaxError",
      message: complaint,
    });
  }
});

Deno.test("formatDuration() prints as Go does", () => {
  const cases: [ms: number, text: string][] = [
    [0, "0s"],
    [0.000001, "1ns"],
    [0.0015, "1.5µs"],
    [500, "500ms"],
    [1.25, "1.25ms"],
    [1_000, "1s"],
    [1_500, "1.5s"],
    [90_000, "1m30s"],
    [3_600_000, "1h0m0s"],
    [-61_001, "-1m1.001s"],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

Deno.test("parseDuration() reads what formatDuration() prints", () => {
  fc.assert(fc.property(fc.integer({ min: -1e9, max: 1e9 }), (ms) => {
    assert.equal(Math.round(parseDuration(formatDuration(ms))), ms);
  }));
});
