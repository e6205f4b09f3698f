import assert from "node:assert/strict";
import {
  describeHandlers,
  type HandlerEntry,
  parseHandler,
} from "../../lib/agent/handler_spec.ts";

/** The handler as `type:name,...` and its script. */
function read(entry: HandlerEntry): [string, string] {
  const { filters, script } = parseHandler(entry);
  return [filters.map(({ type, name }) => `${type}:${name}`).join(), script];
}

Deno.test("parseHandler() splits a text at its first `=`", () => {
  const table: [string, [string, string]][] = [
    ["script.sh", ["*:", "script.sh"]],
    ["script.sh a b", ["*:", "script.sh a b"]],
    ["=script.sh", ["*:", "script.sh"]],
    ["*=X=1 cmd", ["*:", "X=1 cmd"]],
    ["user=", ["user:", ""]],
    ["", ["*:", ""]],
    ["user=a=b", ["user:", "a=b"]],
    ["user:=x", ["user:", "x"]],
    ["user:deploy=x", ["user:deploy", "x"]],
    ["query:load: 1=x", ["query:load: 1", "x"]],
    ["user: deploy=x", ["user: deploy", "x"]],
    [
      "member-join,member-leave,member-failed,member-update,member-reap=x",
      [
        "member-join:,member-leave:,member-failed:,member-update:,member-reap:",
        "x",
      ],
    ],
    ["*,user=x", ["*:,user:", "x"]],
  ];
  for (const [text, expected] of table) {
    assert.deepEqual(read(text), expected, text);
    assert.equal(parseHandler(text).own, undefined);
  }
});

Deno.test("parseHandler() names the element that means nothing", () => {
  const table: [string, string][] = [
    ["foo=bar.sh", "Event 'foo' invoking 'bar.sh'"],
    ["member-join,boo=bar.sh", "Event 'boo' invoking 'bar.sh'"],
    ["user, query=bar.sh", "Event ' query' invoking 'bar.sh'"],
    ["user,,query=bar.sh", "Event '' invoking 'bar.sh'"],
    ["X=1 cmd", "Event 'X' invoking '1 cmd'"],
    ["member-join:n1=x", "Event 'member-join:n1' invoking 'x'"],
  ];
  for (const [text, expected] of table) {
    assert.throws(() => parseHandler(text), {
      name: "HandlerSpecError",
      message: `Invalid event script: ${expected}`,
    });
  }
});

Deno.test("parseHandler() reads objects, whose scripts may contain anything", () => {
  assert.deepEqual(read({ script: "X=1 cmd" }), ["*:", "X=1 cmd"]);
  assert.deepEqual(read({ filter: "user:a,query", script: "x" }), [
    "user:a,query:",
    "x",
  ]);
  assert.equal(parseHandler({ filter: "user", script: "x" }).own, undefined);
  assert.deepEqual(parseHandler({ script: "x", timeout: "1m30s" }).own, {
    timeoutMs: 90_000,
    concurrency: 1,
    onFull: "wait",
  });
  assert.deepEqual(parseHandler({ script: "x", concurrency: 64 }).own, {
    concurrency: 64,
    onFull: "wait",
  });
  assert.deepEqual(parseHandler({ script: "x", on_full: "drop-oldest" }).own, {
    concurrency: 1,
    onFull: "drop-oldest",
  });
  // Said to be the default, but said: it is out of the common order.
  assert.ok(parseHandler({ script: "x", concurrency: 1 }).own);
});

Deno.test("parseHandler() names the field that is wrong", () => {
  const table: [unknown, string][] = [
    [5, "must be a text or an object, got 5"],
    [null, "must be a text or an object, got null"],
    [["x"], 'must be a text or an object, got ["x"]'],
    [{}, "'script' must be a text that is not empty, got nothing"],
    [{ script: "" }, "'script' must be a text that is not empty, got \"\""],
    [{ script: 1 }, "'script' must be a text that is not empty, got 1"],
    [{ script: "x", filter: 1 }, "'filter' must be a text, got 1"],
    [{ script: "x", Timeout: "1s" }, "'Timeout' is not known"],
    [
      { script: "x", timeout: 30 },
      "'timeout' must be a duration such as \"30s\", got 30",
    ],
    [
      { script: "x", timeout: "30" },
      "'timeout' time: missing unit in duration \"30\"",
    ],
    ...["0s", "-1s", "597h"].map((timeout): [unknown, string] => [
      { script: "x", timeout },
      `'timeout' must be over 0s and at most 596h, got "${timeout}"`,
    ]),
    ...[0, 65, 1.5, "4"].map((concurrency): [unknown, string] => [
      { script: "x", concurrency },
      "'concurrency' must be a whole number from 1 to 64, " +
      `got ${JSON.stringify(concurrency)}`,
    ]),
    [
      { script: "x", on_full: "block" },
      "'on_full' must be one of wait, drop, drop-oldest, got \"block\"",
    ],
  ];
  for (const [entry, problem] of table) {
    assert.throws(() => parseHandler(entry as HandlerEntry), {
      name: "HandlerSpecError",
      message: `Invalid event handler: ${problem}`,
    });
  }
  assert.throws(() => parseHandler({ filter: "foo", script: "x" }), {
    message: "Invalid event script: Event 'foo' invoking 'x'",
  });
});

Deno.test("describeHandlers() shows the last of several with one key", () => {
  const handlers = ["a", "user:x,query=b", "user=c", "*=d"].map(parseHandler);
  assert.deepEqual(
    [...describeHandlers(handlers)].sort(),
    [["*:", "d"], ["query:", "b"], ["user:", "c"], ["user:x", "b"]],
  );
});
