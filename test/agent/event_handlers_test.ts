/**
 * When scripts run and what is said about them. The first tests end scripts by
 * hand; the last ones let real scripts repeat what was recorded of the original.
 */

import assert from "node:assert/strict";
import {
  EventHandlers,
  type EventHandlersOptions,
  HANDLER_METRICS,
} from "../../lib/agent/event_handlers.ts";
import {
  type EventHandler,
  type HandlerEntry,
  parseHandler,
} from "../../lib/agent/handler_spec.ts";
import type {
  Invocation,
  ScriptEnd,
  ScriptResult,
} from "../../lib/agent/invoke.ts";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import type { QueryEvent, SerfEvent } from "../../lib/serf/event.ts";
import { until } from "../net/deadline.ts";
import { member, queryEvent } from "../rpc/fake_target.ts";

function userEvent(name: string, payload = ""): SerfEvent {
  return {
    type: "user",
    name,
    ltime: 1n,
    payload: utf8Bytes(payload),
    coalesce: false,
  };
}

/** Scripts that are done at once; on a busy machine they may be called slow. */
const NEVER_SLOW = /Script 'sleep 3 (>\/dev\/null 2>&1 )?&' slow/;

/** Event handlers with a log, and an agent that answers queries as it is told. */
class TestHandlers {
  readonly handlers: EventHandlers;
  readonly lines: string[] = [];
  readonly answers: string[] = [];
  readonly timed: string[] = [];
  readonly metrics = new Metrics();
  self = member("n1", { tags: { role: "lb" } });
  /** What `respond` fails with. */
  respondError: string | undefined;

  constructor(
    entries: readonly HandlerEntry[],
    given: Partial<EventHandlersOptions> = {},
  ) {
    this.handlers = new EventHandlers({
      handlers: entries.map(parseHandler),
      // As the agent's log does, which ends a line with one newline of its own.
      log: (level, text) => {
        if (NEVER_SLOW.test(text)) return;
        this.lines.push(`[${level}] ${text.replace(/\n$/, "")}`);
      },
      self: () => this.self,
      respond: (query, payload) => this.#respond(query, payload),
      onInvoked: (script) => this.timed.push(script),
      metrics: this.metrics,
      ...given,
    });
  }

  #respond(query: QueryEvent, payload: Uint8Array): void {
    if (this.respondError !== undefined) throw new Error(this.respondError);
    this.answers.push(`${query.name}: ${utf8Text(payload)}`);
    this.respondError = "failed to respond to key query: response already sent";
  }
}

/** Handlers whose scripts end when the test says so. */
class ManualHandlers extends TestHandlers {
  /** `SCRIPT EVENT`, in the order in which they began. */
  readonly begun: string[];
  readonly invocations: Invocation[];
  /** By run; one that runs twice has two. */
  readonly #ends: Map<string, ((result: ScriptResult) => void)[]>;

  constructor(entries: readonly HandlerEntry[]) {
    const begun: string[] = [];
    const invocations: Invocation[] = [];
    const ends = new Map<string, ((result: ScriptResult) => void)[]>();
    super(entries, {
      run: (invocation) => {
        const { env } = invocation;
        const name = env.SERF_USER_EVENT ?? env.SERF_QUERY_NAME ??
          env.SERF_EVENT;
        const text = `${invocation.script} ${name}`;
        begun.push(text);
        invocations.push(invocation);
        const { promise, resolve } = Promise.withResolvers<ScriptResult>();
        ends.set(text, [...ends.get(text) ?? [], resolve]);
        return promise;
      },
    });
    this.begun = begun;
    this.invocations = invocations;
    this.#ends = ends;
  }

  handle(...names: string[]): void {
    for (const name of names) this.handlers.handle(userEvent(name));
  }

  /** Ends the run, and lets everything that follows from it happen. */
  async end(
    run: string,
    output = "",
    end: ScriptEnd = { kind: "exited", code: 0 },
  ): Promise<void> {
    const resolve = this.#ends.get(run)?.shift();
    assert.ok(resolve, `${run} does not run`);
    resolve({ end, output: utf8Bytes(output), isHeld: false });
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  /** What began since the last call. */
  takeBegun(): string[] {
    return this.begun.splice(0);
  }
}

Deno.test("handlers run one after another, and so do events", async () => {
  const t = new ManualHandlers(["user=a", "user:x=b", "query=c", "d"]);
  t.handle("x", "y");
  assert.deepEqual(t.takeBegun(), ["a x"]);
  await t.end("a x");
  assert.deepEqual(t.takeBegun(), ["b x"]);
  await t.end("b x");
  assert.deepEqual(t.takeBegun(), ["d x"], "c is for queries");
  await t.end("d x");
  assert.deepEqual(t.takeBegun(), ["a y"], "the next event comes last");
  await t.end("a y");
  assert.deepEqual(t.takeBegun(), ["d y"]);
  await t.end("d y");
  assert.deepEqual(t.takeBegun(), []);
  assert.deepEqual(t.timed, ["a", "b", "d", "a", "d"]);
});

Deno.test("a script runs once for each of its filters that lets the event pass", async () => {
  const t = new ManualHandlers(["*,user,user:y,query=a"]);
  t.handle("x");
  await t.end("a x");
  await t.end("a x");
  assert.deepEqual(t.takeBegun(), ["a x", "a x"]);
});

Deno.test("a failure stops neither the other handlers nor the next event", async () => {
  const t = new ManualHandlers(["a", "b"]);
  t.handle("x", "y");
  await t.end("a x", "", { kind: "exited", code: 7 });
  await t.end("b x", "", { kind: "signaled", signal: "SIGKILL" });
  await t.end("a y", "", { kind: "notStarted", reason: "why" });
  await t.end("b y", "", { kind: "timedOut", afterMs: 30_000 });
  assert.deepEqual(t.takeBegun(), ["a x", "b x", "a y", "b y"]);
  assert.deepEqual(t.lines, [
    "[DEBUG] agent: Event 'user' script output: ",
    "[ERR] agent: Error invoking script 'a': exit status 7",
    "[DEBUG] agent: Event 'user' script output: ",
    "[ERR] agent: Error invoking script 'b': signal: killed",
    "[ERR] agent: Error invoking script 'a': why",
    "[DEBUG] agent: Event 'user' script output: ",
    "[ERR] agent: Error invoking script 'b': timed out after 30s, " +
    "its process group was killed",
  ]);
  assert.equal(t.metrics.of(HANDLER_METRICS).failed.value, 4);
});

Deno.test("a handler with an option neither waits nor is waited for", async () => {
  const t = new ManualHandlers([
    "a",
    { script: "own", timeout: "30s" },
    { script: "many", concurrency: 2 },
    "b",
  ]);
  t.handle("x", "y", "z");
  assert.deepEqual(t.takeBegun(), ["a x", "own x", "many x", "many y"]);
  assert.deepEqual(t.invocations.map(({ timeoutMs }) => timeoutMs), [
    undefined,
    30_000,
    undefined,
    undefined,
  ]);
  await t.end("a x");
  await t.end("b x");
  assert.deepEqual(t.takeBegun(), ["b x", "a y"]);
  await t.end("many y");
  assert.deepEqual(t.takeBegun(), ["many z"]);
  await t.end("own x");
  assert.deepEqual(t.takeBegun(), ["own y"]);
});

Deno.test("each lane has its own rule for too many events", async () => {
  const t = new ManualHandlers([
    "wait",
    { script: "drop", on_full: "drop" },
    { script: "oldest", on_full: "drop-oldest" },
  ]);
  const names = Array.from({ length: 101 }, (_, index) => `${index}`);
  t.handle(...names);
  const inOrder = async (script: string) => {
    while (t.begun.some((run) => run.startsWith(`${script} `))) {
      const run = t.begun.find((run) => run.startsWith(`${script} `)) as string;
      t.begun.splice(t.begun.indexOf(run), 1);
      done.push(run.slice(script.length + 1));
      await t.end(run);
    }
    return done.splice(0);
  };
  const done: string[] = [];
  assert.deepEqual(await inOrder("wait"), names);
  assert.deepEqual(await inOrder("drop"), names.slice(0, 65));
  assert.deepEqual(await inOrder("oldest"), ["0", ...names.slice(37)]);
  const full = "[WARN] agent: Too many events wait for script";
  assert.deepEqual(
    t.lines.filter((line) => line.startsWith("[WARN]")).sort(),
    [
      `${full} 'drop', lost 1 of the newest`,
      `${full} 'drop', lost 35 of the newest`,
      `${full} 'oldest', lost 1 of the oldest`,
      `${full} 'oldest', lost 35 of the oldest`,
    ],
  );
  assert.equal(t.metrics.of(HANDLER_METRICS).lost.value, 72);
});

Deno.test("what scripts are told of ourselves is true when they begin", async () => {
  const t = new ManualHandlers(["a", "b"]);
  t.handle("x");
  t.self = member("n1", { tags: { role: "db", new: "1" } });
  await t.end("a x");
  const [a, b] = t.invocations;
  assert.deepEqual([a?.env.SERF_TAG_ROLE, a?.env.SERF_TAG_NEW], [
    "lb",
    undefined,
  ]);
  assert.deepEqual([b?.env.SERF_TAG_ROLE, b?.env.SERF_TAG_NEW], ["db", "1"]);
});

Deno.test("EventHandlers.replace() counts from the next event on", async () => {
  const keep = { filter: "user", script: "keep", concurrency: 1 };
  const t = new ManualHandlers([
    "a",
    "b",
    keep,
    keep,
    { script: "gone", on_full: "drop" },
  ]);
  t.handle("x", "y");
  assert.deepEqual(t.takeBegun(), ["a x", "keep x", "keep x", "gone x"]);
  const next: EventHandler[] = [
    "c",
    keep,
    { ...keep, timeout: "1s" },
  ].map(parseHandler);
  t.handlers.replace(next);
  t.handle("z");
  assert.deepEqual(t.takeBegun(), ["keep z"], "the changed one begins anew");
  // The event of before keeps its handlers; the one that waited has the new ones.
  await t.end("a x");
  assert.deepEqual(t.takeBegun(), ["b x"]);
  await t.end("b x");
  assert.deepEqual(t.takeBegun(), ["c y"]);
  await t.end("c y");
  assert.deepEqual(t.takeBegun(), ["c z"]);
  await t.end("gone x");
  assert.deepEqual(t.takeBegun(), [], "what waited for it is forgotten");
  await t.end("keep x");
  assert.deepEqual(t.takeBegun(), ["keep y"], "one of the two has stayed");
  assert.deepEqual([...t.handlers.stats()], [["*:", "c"], ["user:", "keep"]]);
});

Deno.test("events that nobody wants do not wait", () => {
  const t = new ManualHandlers(["user:x=a"]);
  t.handle("x");
  for (let count = 0; count < 2_000; count++) t.handle("y");
  assert.deepEqual(t.lines, []);
});

Deno.test("EventHandlers.stop() begins nothing more, and says nothing more", async () => {
  const t = new ManualHandlers(["a", "b", { script: "own", concurrency: 1 }]);
  t.handle("x", "y");
  t.handlers.stop();
  assert.ok(t.invocations.every(({ signal }) => signal?.aborted));
  await t.end("a x", "output", { kind: "abandoned" });
  await t.end("own x", "output", { kind: "abandoned" });
  t.handle("z");
  assert.deepEqual(t.takeBegun(), ["a x", "own x"]);
  assert.deepEqual(t.lines, []);
});

Deno.test("the first output of a successful script answers the query", async () => {
  const t = new ManualHandlers(["query=a", "query=b", "query=c", "query=d"]);
  t.handlers.handle(queryEvent({ name: "q", payload: utf8Bytes("p") }));
  await t.end("a q", "bad", { kind: "exited", code: 1 });
  await t.end("b q", "");
  assert.deepEqual(t.answers, []);
  await t.end("c q", "first\n");
  await t.end("d q", "second");
  assert.deepEqual(t.answers, ["q: first\n"]);
  assert.deepEqual(t.lines, [
    "[DEBUG] agent: Event 'query' script output: bad",
    "[ERR] agent: Error invoking script 'a': exit status 1",
    "[DEBUG] agent: Event 'query' script output: ",
    "[DEBUG] agent: Event 'query' script output: first",
    "[DEBUG] agent: Event 'query' script output: second",
    "[WARN] agent: Failed to respond to query 'query: q': " +
    "failed to respond to key query: response already sent",
  ]);
  assert.equal(utf8Text(t.invocations[0]?.input as Uint8Array), "p\n");
});

Deno.test("only queries are answered", async () => {
  const t = new ManualHandlers(["a"]);
  t.handle("x");
  t.handlers.handle({ type: "member-join", members: [member("n2")] });
  await t.end("a x", "output");
  await t.end("a member-join", "output");
  assert.deepEqual(t.answers, []);
});

// --- Recordings -------------------------------------------------------------

interface RecordedOutput {
  readonly handler: string;
  readonly payload?: string;
  readonly agent_log?: readonly string[];
  /** How much of the output was kept, and how that begins and ends. */
  readonly kept_bytes?: number;
  readonly kept_tail_start?: string;
  readonly kept_tail_end?: string;
}

const { output_handling: RECORDED } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/handlers.json", import.meta.url),
  ),
) as { output_handling: readonly RecordedOutput[] };

/** Recorded log lines without their times. */
function recordedLines({ agent_log = [] }: RecordedOutput): string[] {
  return agent_log.map((line) => line.replace(/^ {4}\S+ \S+ /, ""));
}

const isWindows = Deno.build.os === "windows";

Deno.test({
  name: "recorded scripts for user events leave the same lines in the log",
  ignore: isWindows,
  async fn() {
    let count = 0;
    for (const recorded of RECORDED) {
      const { handler, payload = "x" } = recorded;
      const name = /^user:(fail|missing|kill|pipe|eq|shell)=/.exec(handler)
        ?.[1];
      if (name === undefined) continue;
      count++;
      // This one's full text was not recorded; the rest names the other program.
      const isShell = name === "shell";
      const t = new TestHandlers([
        isShell ? 'user:shell=echo "shell=$0 args=$# ppid-comm=serf"' : handler,
      ]);
      t.handlers.handle(userEvent(name, payload));
      await until(handler, () => t.timed.length === 1 && t.lines.length > 0);
      const expected = recordedLines(recorded);
      // The recorder left out that the killed one had printed nothing.
      const seen = name === "kill" ? t.lines.slice(1) : t.lines;
      assert.deepEqual(
        seen.map((line) => line.replace("/bin/sh: line 1:", "/bin/sh: 1:")),
        expected,
        handler,
      );
    }
    assert.equal(count, 6);
  },
});

Deno.test({
  name: "recorded flood leaves the same end",
  ignore: isWindows,
  async fn() {
    const flood = RECORDED.find(({ kept_bytes }) => kept_bytes !== undefined);
    const t = new TestHandlers([
      'user:flood=i=0; while [ $i -lt 1000 ]; do echo "line $i aaaaaaaaaa"; i=$((i+1)); done',
    ]);
    t.handlers.handle(userEvent("flood"));
    await until("the end", () => t.lines.length === 1);
    const text = t.lines[0]?.replace(/^.* script output: /, "") ?? "";
    // The last newline is kept, but ends the log entry.
    assert.equal(text.length + 1, flood?.kept_bytes);
    assert.ok(text.startsWith(flood?.kept_tail_start as string));
    assert.ok(text.endsWith(flood?.kept_tail_end as string));
  },
});

Deno.test({
  name: "recorded slow scripts hold up the same events, background jobs none",
  ignore: isWindows,
  async fn() {
    const recorded = RECORDED.find(({ handler }) =>
      handler.startsWith("events hold")
    ) as RecordedOutput;
    const t = new TestHandlers([
      "user:hold=sleep 3 &",
      "user:detach=sleep 3 >/dev/null 2>&1 &",
      "user:slow=sleep 1.5",
      "query:late=sleep 2; echo late",
    ]);
    t.respondError =
      "failed to respond to key query: response is past the deadline";
    for (const name of ["hold", "detach", "slow"]) {
      t.handlers.handle(userEvent(name));
    }
    t.handlers.handle(queryEvent({ name: "late" }));
    await until("the last line", () => t.lines.length >= 8);
    // Events are taken in, and logged, before they are handled here; and a job
    // that holds the output does not make its script slow, which is told instead.
    const lines = recordedLines(recorded).filter((line) =>
      !line.includes("Received")
    );
    assert.equal(
      lines[0],
      "[WARN] agent: Script 'sleep 3 &' slow, execution exceeding 1s",
    );
    assert.match(t.lines[0] ?? "", /'sleep 3 &' has ended, but a process/);
    assert.deepEqual(t.lines.slice(1), lines.slice(1));
  },
});
