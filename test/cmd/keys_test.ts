/** `serf keys` apart from the captured calls, which `captures_test.ts` plays. */

import assert from "node:assert/strict";
import { endText, keysJson } from "../../cmd/keys.ts";
import { dispatch } from "../../cmd/mod.ts";
import { renderJson } from "../../cmd/output.ts";
import { KeyError } from "../../lib/net/driver.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { NO_KEY_REPORT } from "../../lib/serf/key_manager.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const REPORT = {
  messages: new Map([["n2", "no"], ["n10", "a|b"]]),
  keys: new Map([["zz==", 1], ["AA==", 3]]),
  nodes: 3,
  responses: 3,
  errors: 2,
};

/** Runs `serf keys ARGS` against a fake agent. */
async function keys(target: FakeTarget, ...args: string[]) {
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  try {
    const flag = `-rpc-addr=127.0.0.1:${server.port}`;
    const code = await dispatch(["keys", flag, ...args], terminal);
    return { code, ...terminal };
  } finally {
    await server.shutdown();
  }
}

Deno.test("endText() puts rows in the order of their keys and names", () => {
  assert.equal(
    endText("list", REPORT, undefined),
    "==> Keys gathered, listing cluster keys...\n\n" +
      "AA==  [3/3]\nzz==  [1/3]\n",
  );
  // A `|` splits the cell, as in the original.
  assert.equal(
    endText("use", REPORT, "2/3 nodes reported failure"),
    "failed:  n10  a   b\nfailed:  n2   no\n\n" +
      "Error changing primary key: 2/3 nodes reported failure\n",
  );
  assert.equal(
    endText("remove", REPORT, undefined),
    "==> Successfully removed key!\n",
  );
});

Deno.test("keysJson() has the same fields after success and failure", () => {
  assert.equal(
    renderJson(keysJson("list", REPORT, undefined)),
    `{
  "action": "list",
  "error": null,
  "nodes": 3,
  "responses": 3,
  "errors": 2,
  "messages": {
    "n10": "a|b",
    "n2": "no"
  },
  "keys": {
    "AA==": 3,
    "zz==": 1
  }
}`,
  );
  const failed = keysJson("use", { ...REPORT, keys: undefined }, "why");
  assert.match(renderJson(failed), /"error": "why",[^]*"keys": null\n}$/);
});

Deno.test("serf keys -format=json prints one document, also for a failure", async () => {
  const target = new FakeTarget();
  const keyCounts = new Map([["AAAA", 2]]);
  const report = { ...NO_KEY_REPORT, nodes: 2, responses: 2, keyCounts };
  target.onChangeKeys = () => Promise.resolve(report);
  const listed = await keys(target, "-format=json", "-list");
  assert.equal(listed.code, 0);
  assert.deepEqual(JSON.parse(listed.stdout), {
    action: "list",
    error: null,
    nodes: 2,
    responses: 2,
    errors: 0,
    messages: {},
    keys: { AAAA: 2 },
  });
  const messages = new Map([["n1", "Disk full"]]);
  target.onChangeKeys = () =>
    Promise.reject(
      new KeyError("1/2 nodes reported failure", {
        ...report,
        errors: 1,
        messages,
      }),
    );
  const failed = await keys(target, "-format=json", "-install=QUFB");
  assert.equal(failed.code, 1);
  assert.deepEqual(JSON.parse(failed.stdout), {
    action: "install",
    error: "1/2 nodes reported failure",
    nodes: 2,
    responses: 2,
    errors: 1,
    messages: { n1: "Disk full" },
    keys: null,
  });
  assert.deepEqual(target.calls, [
    "changeKeys list",
    "changeKeys install QUFB",
  ]);
});

Deno.test("serf keys changes nothing when it does not know the format", async () => {
  const target = new FakeTarget();
  const { code, stdout } = await keys(target, "-format=xml", "-remove=AAAA");
  assert.equal(code, 1);
  assert.equal(stdout, 'Encoding error: Invalid output format "xml"\n');
  assert.deepEqual(target.calls, []);
});

Deno.test("serf keys fails with the connection", async () => {
  const target = new FakeTarget();
  target.onChangeKeys = () => new Promise(() => {});
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  const flag = `-rpc-addr=127.0.0.1:${server.port}`;
  const done = dispatch(["keys", flag, "-use=AAAA"], terminal);
  await until("the request", () => target.calls.length > 0);
  await server.shutdown();
  assert.equal(await done, 1);
  assert.equal(
    terminal.stdout,
    "==> Changing primary key on all members...\n\n" +
      "Error changing primary key: client closed\n",
  );
});
