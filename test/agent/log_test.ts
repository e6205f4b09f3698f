import assert from "node:assert/strict";
import { AgentLog, MONITOR_LINES_MAX } from "../../lib/agent/log.ts";
import { formatTime, jsonLogLine } from "../../lib/agent/log_line.ts";
import type { LogLevel } from "../../lib/kit/log.ts";

const NOON = new Date(2026, 10, 20, 12, 49, 6);
const STAMP = "2026/11/20 12:49:06";

function makeLog(level: LogLevel = "INFO"): { log: AgentLog; shown: string[] } {
  const shown: string[] = [];
  const log = new AgentLog({
    level,
    write: (text) => shown.push(text),
    now: () => NOON,
  });
  return { log, shown };
}

Deno.test("formatTime() pads every part", () => {
  assert.equal(formatTime(NOON), STAMP);
  assert.equal(formatTime(new Date(7, 0, 2, 3, 4, 5)), "1907/01/02 03:04:05");
});

Deno.test("jsonLogLine() has go-hclog's keys, the component and more fields", () => {
  const at = new Date(Date.UTC(2026, 10, 20, 12, 49, 6, 7));
  assert.equal(
    jsonLogLine(at, "ERR", 'agent.ipc: a: "b"\nc'),
    '{"@timestamp":"2026-11-20T12:49:06.007Z","@level":"error",' +
      '"@module":"agent.ipc","@message":"a: \\"b\\"\\nc"}\n',
  );
  assert.equal(
    jsonLogLine(at, "WARN", "Error writing: x", { bytes: 5 }),
    '{"@timestamp":"2026-11-20T12:49:06.007Z","@level":"warn",' +
      '"@message":"Error writing: x","bytes":5}\n',
  );
});

Deno.test("AgentLog writes JSON, but monitors read text", () => {
  const shown: string[] = [];
  const log = new AgentLog({
    level: "INFO",
    isJson: true,
    write: (text) => shown.push(text),
    now: () => NOON,
  });
  log.log("INFO", "agent: held back");
  log.open();
  log.log("DEBUG", "agent: not shown");
  log.log("WARN", "agent: two\nlines\n\n");
  assert.deepEqual(
    shown.map((text) => JSON.parse(text)["@message"]),
    ["held back", "two\nlines"],
  );
  for (const text of shown) assert.match(text, /^[^\n]+\n$/);
  assert.deepEqual(log.subscribe("WARN", () => {}).backlog, [
    `${STAMP} [WARN] agent: two\\nlines\\n`,
  ]);
});

Deno.test("AgentLog.log() holds lines back until the log is opened", () => {
  const { log, shown } = makeLog();
  log.log("INFO", "agent: Serf agent starting");
  log.log("DEBUG", "serf: messageJoinType: n1");
  assert.deepEqual(shown, []);
  log.open();
  log.log("WARN", "agent: error joining: 1 error occurred:\n\t* no\n\n");
  assert.deepEqual(shown, [
    `    ${STAMP} [INFO] agent: Serf agent starting\n`,
    `    ${STAMP} [WARN] agent: error joining: 1 error occurred:\n\t* no\n\n`,
  ]);
});

Deno.test("AgentLog.setLevel() changes what is shown from then on", () => {
  const { log, shown } = makeLog("ERR");
  log.open();
  log.log("WARN", "agent: a");
  log.setLevel("TRACE");
  log.log("TRACE", "agent: b");
  assert.deepEqual(shown, [`    ${STAMP} [TRACE] agent: b\n`]);
});

Deno.test("AgentLog.subscribe() starts with the last lines of the level", () => {
  const { log } = makeLog("ERR");
  for (let i = 0; i < MONITOR_LINES_MAX + 10; i++) {
    log.log(i % 2 === 0 ? "DEBUG" : "INFO", `agent: ${i}`);
  }
  const all = log.subscribe("TRACE", () => {});
  assert.equal(all.backlog.length, MONITOR_LINES_MAX);
  assert.equal(all.backlog[0], `${STAMP} [DEBUG] agent: 10`);
  const some = log.subscribe("INFO", () => {});
  assert.equal(some.backlog.length, MONITOR_LINES_MAX / 2);
  assert.equal(some.backlog.at(-1), `${STAMP} [INFO] agent: 521`);
});

Deno.test("AgentLog.subscribe() hands over new lines until it is ended", () => {
  const { log } = makeLog();
  const heard: string[] = [];
  const subscription = log.subscribe("WARN", (line) => heard.push(line));
  log.log("INFO", "agent: a");
  log.log("ERR", "agent: b");
  subscription.unsubscribe();
  log.log("ERR", "agent: c");
  assert.deepEqual(heard, [`${STAMP} [ERR] agent: b`]);
});

Deno.test("AgentLog.log() cuts an entry that is far too long, for all who see it", () => {
  const { log, shown } = makeLog();
  log.open();
  log.log("INFO", "é".repeat(16_384));
  log.log("INFO", `${"é".repeat(16_384)}${"x".repeat(1_000_000)}\n`);
  const whole = `${STAMP} [INFO] ${"é".repeat(16_384)}`;
  const lines = [whole, `${whole} ... (1000000 more characters)`];
  assert.deepEqual(shown, lines.map((line) => `    ${line}\n`));
  assert.deepEqual(log.subscribe("INFO", () => {}).backlog, lines);
});
