/** The verdicts of `serf reachability`, and its end by interrupt. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { AckCount, judge, timesText } from "../../cmd/reachability.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

function acksOf(...names: string[]): AckCount {
  const acks = new AckCount();
  for (const name of names) acks.add(name);
  return acks;
}

const DUPLICATES =
  "Duplicate responses means there is a misconfiguration. Verify that node names are unique.\n";

Deno.test("judge() is content when as many acked as are alive", () => {
  const good = "Successfully contacted all live nodes\n";
  assert.deepEqual(judge(["a", "b"], acksOf("b", "a")), {
    text: good,
    code: 0,
  });
  assert.deepEqual(judge(["a", "b"], acksOf("b", "a", "b")), {
    text: DUPLICATES + good,
    code: 1,
  });
});

Deno.test("judge() names who is missing, in order", () => {
  const { text, code } = judge(["c", "a", "b"], acksOf("b"));
  assert.equal(code, 1);
  assert.match(
    text,
    /^Received less acks than live nodes! Missing acks from:\n\ta\n\tc\nThis could mean [^\n]+\n\nTroubleshooting tips:\n(\* [^\n]+\n){5}$/,
  );
});

Deno.test("judge() names who acked though it is not alive", () => {
  const { text, code } = judge(["a"], acksOf("a", "x", "x"));
  assert.equal(code, 1);
  assert.ok(text.startsWith(
    `${DUPLICATES}Received more acks than live nodes! Acks from non-live nodes:\n\tx\nThis `,
  ));
  assert.match(text, /\n\nTroubleshooting tips:\n(\* [^\n]+\n){5}$/);
});

Deno.test("timesText() shows seconds with two decimals", () => {
  assert.equal(
    timesText(8_004, 4),
    "Query time: 8.00 sec, time to last response: 0.00 sec\n",
  );
  assert.equal(
    timesText(3_200, 184),
    "Query time: 3.20 sec, time to last response: 0.18 sec\n",
  );
});

Deno.test("serf reachability asks for acks, tells of duplicates, and can be interrupted", async () => {
  const target = new FakeTarget();
  target.memberList = ["n1", "n2", "n3"].map((name) => member(name));
  target.onQuery = (_, listener) => {
    listener.onReply({ kind: "ack", from: "n1" });
    listener.onReply({ kind: "ack", from: "n1" });
  };
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  const done = dispatch(
    ["reachability", `-rpc-addr=127.0.0.1:${server.port}`],
    terminal,
  );
  await until("the acks", () => terminal.stdout.includes("Duplicate"));
  assert.ok(terminal.isListening);
  terminal.interrupt();
  assert.equal(await done, 1);
  assert.equal(
    terminal.stdout,
    "Total members: 3, live members: 3\nStarting reachability test...\n" +
      "Duplicate response from 'n1'\nTest interrupted\n",
  );
  assert.deepEqual(target.calls, [
    "query _serf_ping  filters= ack=true relay=0 timeout=0",
  ]);
  await server.shutdown();
});
