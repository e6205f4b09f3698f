import assert from "node:assert/strict";
import {
  type Observer,
  renderChanges,
  renderMatrix,
} from "../../demo/matrix.ts";

function observer(
  name: string,
  view: Record<string, string> | undefined,
  pid: number | undefined = 77,
): Observer {
  return {
    name,
    rpcAddress: "127.0.0.1:7373",
    pid,
    view: view && new Map(Object.entries(view)),
  };
}

Deno.test("renderMatrix() shows who sees whom, in words", () => {
  const observers = [
    observer("n1", { n1: "alive", n2: "failed" }),
    { ...observer("n2", undefined), pid: undefined },
  ];
  assert.equal(
    renderMatrix(observers),
    [
      "seen by  n1     n2",
      "n1       alive  failed  rpc 127.0.0.1:7373  pid 77",
      "n2                      down",
    ].join("\n"),
  );
});

Deno.test("renderMatrix() uses letters for many nodes", () => {
  const names = Array.from({ length: 9 }, (_, i) => `n${i + 1}`);
  const view = { n1: "alive", n2: "failed", n3: "left", n4: "leaving" };
  const lines = renderMatrix(names.map((name) => observer(name, view)))
    .split("\n");
  assert.equal(lines[0], "seen by  1  2  3  4  5  6  7  8  9");
  assert.match(lines[1] ?? "", /^n1 {7}\+ {2}F {2}L {2}l {2}\. {2}\./);
  assert.equal(lines.length, 11);
});

Deno.test("renderChanges() keeps the order of the agents", () => {
  const names = ["n1", "n2", "n10"];
  // An agent lists its members by the letters of their names.
  const view = { n1: "alive", n10: "alive", n2: "alive" };
  const after = names.map((name) => observer(name, view));
  assert.deepEqual(renderChanges([], after).slice(0, 1), [
    "n1 sees n1, n2, n10 alive",
  ]);
});

Deno.test("renderChanges() tells only what is new", () => {
  const before = [
    observer("n1", { n1: "alive", n2: "alive" }),
    observer("n2", { n1: "alive" }),
    observer("n3", undefined),
  ];
  const after = [
    observer("n1", { n1: "alive", n2: "failed", n3: "alive", n4: "alive" }),
    observer("n2", undefined),
    observer("n3", undefined),
  ];
  assert.deepEqual(renderChanges(before, after), [
    "n1 sees n2 failed",
    "n1 sees n3, n4 alive",
    "n2 does not answer",
  ]);
  assert.deepEqual(renderChanges(after, after), []);
  assert.deepEqual(renderChanges([], [observer("n1", { n1: "alive" })]), [
    "n1 sees n1 alive",
  ]);
});
