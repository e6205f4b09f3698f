import assert from "node:assert/strict";
import type { MemberEventType, SerfEvent } from "../../lib/serf/event.ts";
import { memberOf } from "../../lib/serf/member.ts";
import { Ledger } from "../../lib/sim/ledger.ts";
import { nodeOf } from "../serf/parts.ts";
import { ask, pair } from "./pair.ts";

/** A ledger, and the means to tell node a something at an instant. */
function fixture() {
  const { cluster, a } = pair();
  const complaints: string[] = [];
  const timeouts = { failedMs: 1_000, leftMs: 500 };
  const ledger = new Ledger(cluster, timeouts, (rule, text) => {
    complaints.push(`${rule}: ${text}`);
  });
  ledger.onLifecycle(a, "started");
  const tell = (type: MemberEventType, atMs: number) => {
    cluster.runUntil(atMs);
    const status = type === "member-join" ? "leaving" : "failed";
    const event: SerfEvent = { type, members: [memberOf(nodeOf("x"), status)] };
    ask(cluster, a, { kind: "event", event });
  };
  return { cluster, a, ledger, complaints, tell };
}

Deno.test("Ledger takes down how long members were gone, and under which timeout", () => {
  const { ledger, complaints, tell } = fixture();
  tell("member-join", 0);
  tell("member-failed", 100);
  tell("member-reap", 1_200);
  tell("member-join", 2_000);
  tell("member-failed", 3_000);
  tell("member-leave", 3_200);
  tell("member-reap", 3_600);
  assert.deepEqual(ledger.reaps, [
    { observer: "a", subject: "x", afterMs: 1_100, timeoutMs: 1_000 },
    { observer: "a", subject: "x", afterMs: 600, timeoutMs: 500 },
  ]);
  assert.deepEqual(complaints, []);
});

Deno.test("Ledger complains of reaps of members that are not gone, and of those that never come", () => {
  const { cluster, ledger, complaints, tell } = fixture();
  tell("member-failed", 100);
  tell("member-reap", 1_150);
  tell("member-reap", 1_200);
  assert.deepEqual(complaints, ["reaped once: a reaps x, which was not gone"]);
  complaints.length = 0;
  tell("member-leave", 2_000);
  cluster.runUntil(2_550);
  ledger.checkAges(50);
  assert.deepEqual(complaints, []);
  cluster.runUntil(2_551);
  ledger.checkAges(50);
  assert.deepEqual(complaints, [
    "reaped in time: a has not reaped x after 551 ms",
  ]);
});

Deno.test("Ledger keeps the first status of a member, and who is tried", () => {
  const { cluster, a, ledger, tell } = fixture();
  tell("member-join", 0);
  assert.equal(ledger.firstStatus(a, "x"), "leaving");
  assert.equal(ledger.firstStatus(a, "y"), undefined);
  const text = "serf: attempting reconnect to x 10.0.0.1:7946";
  ask(cluster, a, { kind: "log", level: "INFO", text });
  ask(cluster, a, { kind: "log", level: "INFO", text: "serf: something else" });
  assert.deepEqual(ledger.tried, ["x"]);
});
