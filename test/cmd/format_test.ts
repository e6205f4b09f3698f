/** Every command that prints also prints JSON, and so does its failure. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { eventLine } from "../../cmd/monitor.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { RecordText, type RecordValue } from "../../lib/rpc/client_session.ts";
import { formatOf } from "../../cmd/format.ts";
import { VERSION } from "../../lib/kit/version.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** Runs a command against a fake agent and reads what it printed. */
async function run(
  args: readonly string[],
  prepare: (target: FakeTarget) => void = () => {},
): Promise<
  { code: number; json: unknown; stderr: string; target: FakeTarget }
> {
  const target = new FakeTarget();
  prepare(target);
  const at = { host: "127.0.0.1", port: 0 };
  const server = RpcServer.start({ target, at, authKey: "" });
  const terminal = new FakeTerminal({
    SERF_RPC_ADDR: `127.0.0.1:${server.port}`,
  });
  try {
    const code = await dispatch(args, terminal);
    const { stdout, stderr } = terminal;
    return { code, json: JSON.parse(stdout), stderr, target };
  } finally {
    await server.shutdown();
  }
}

Deno.test("commands without a result of their own say as JSON what they did", async () => {
  const cases: readonly (readonly [readonly string[], unknown])[] = [
    [["event", "-format=json", "deploy", "v1"], {
      name: "deploy",
      coalesce: true,
    }],
    [["force-leave", "-format=json", "-prune", "n3"], {
      node: "n3",
      prune: true,
    }],
    [["leave", "-format=json"], { left: true }],
    [["tags", "-format=json", "-set", "a=1", "-delete", "b"], {
      set: { a: "1" },
      deleted: ["b"],
    }],
    [["version", "-format=json"], {
      version: VERSION,
      protocol: { max: 5, min: 2 },
    }],
  ];
  for (const [args, expected] of cases) {
    const { code, json, stderr } = await run(args);
    assert.deepEqual(json, expected, args.join(" "));
    assert.equal(code, 0, args.join(" "));
    assert.equal(stderr, "");
  }
});

Deno.test("join tells as JSON how many addresses were contacted", async () => {
  const { code, json } = await run(["join", "-format=json", "10.0.0.1"]);
  assert.deepEqual(json, { contacted: 1 });
  assert.equal(code, 0);
});

Deno.test("keygen prints its key as JSON", async () => {
  const { json } = await run(["keygen", "-format=json"]);
  const { key } = json as { key: string };
  assert.equal(Uint8Array.fromBase64(key).length, 32);
});

Deno.test("reachability tells as JSON who has not acked", async () => {
  const { code, json } = await run(
    ["reachability", "-format=json"],
    (target) => {
      target.memberList = [member("n1"), member("n2")];
      target.onQuery = (_, listener) => {
        listener.onReply({ kind: "ack", from: "n1" });
        listener.onReply({ kind: "ack", from: "gone" });
        listener.onDone();
      };
    },
  );
  const { query_ms, last_ack_ms, ...rest } = json as Record<string, unknown>;
  assert.deepEqual(rest, {
    members: 2,
    live: 2,
    acks: ["gone", "n1"],
    missing: ["n2"],
    unexpected: ["gone"],
    duplicates: false,
  });
  assert.ok(Number(query_ms) >= Number(last_ack_ms));
  assert.equal(
    code,
    0,
    "as many as are alive, which the original takes for all",
  );
});

Deno.test("a failure is a document too, beside the line that scripts look for", async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [
      ["event", "-format=json"],
      "An event name must be specified.",
    ],
    [
      ["query", "-format=json", "-tag", "x", "load"],
      "Error: Invalid tag: 'x'",
    ],
    [["tags", "-format=json", "-set", "x"], "Error: Invalid tag: 'x'"],
    [
      ["rtt", "-format=json", "nobody", "n2"],
      'Could not find a coordinate for node "nobody"',
    ],
    [
      ["members", "-format=json", "-name=("],
      "Error retrieving members: client closed",
    ],
    [
      ["join", "-format=json", "-rpc-addr=127.0.0.1:1", "x"],
      "Error connecting to Serf agent: dial tcp 127.0.0.1:1: connect: connection refused",
    ],
  ];
  for (const [args, error] of cases) {
    const { code, json, stderr } = await run(args);
    assert.deepEqual(json, { error }, args.join(" "));
    assert.equal(stderr, `${error}\n`);
    assert.equal(code, 1);
  }
});

Deno.test("a form that there is not is refused before anything is done", async () => {
  for (
    const args of [
      ["leave"],
      ["join", "10.0.0.1"],
      ["event", "deploy"],
      ["force-leave", "n3"],
      ["tags", "-set", "a=1"],
    ]
  ) {
    const [name = "", ...rest] = args;
    const target = new FakeTarget();
    const server = RpcServer.start({
      target,
      at: { host: "127.0.0.1", port: 0 },
      authKey: "",
    });
    const terminal = new FakeTerminal({
      SERF_RPC_ADDR: `127.0.0.1:${server.port}`,
    });
    assert.equal(await dispatch([name, "-format=xml", ...rest], terminal), 1);
    await server.shutdown();
    assert.equal(
      terminal.stdout,
      'Encoding error: Invalid output format "xml"\n',
    );
    assert.deepEqual(target.calls, [], name);
  }
});

Deno.test("formatOf() finds the last form among arguments that mean nothing", () => {
  assert.equal(formatOf(["x", "-format=json", "--", "y"]), "json");
  assert.equal(formatOf(["-format=json", "--format=text"]), "text");
  assert.equal(formatOf(["-formats=json"]), "text");
});

Deno.test("eventLine() shows payloads and addresses as people write them, on one line", () => {
  const text = (words: string) => new RecordText(utf8Bytes(words));
  const event: RecordValue = new Map<string, RecordValue>([
    ["Event", text("user")],
    ["LTime", 2n ** 63n],
    ["Payload", utf8Bytes("two\nlines")],
    ["Members", [
      new Map<string, RecordValue>([
        ["Addr", Uint8Array.of(10, 0, 0, 1)],
        ["Tags", new Map([["role", text("web")]])],
      ]),
    ]],
    ["Nothing", null],
  ]);
  assert.equal(
    eventLine(event),
    '{"event": {"Event": "user","LTime": 9223372036854775808,' +
      '"Payload": "two\\nlines",' +
      '"Members": [{"Addr": "10.0.0.1","Tags": {"role": "web"}}],' +
      '"Nothing": null}}\n',
  );
});
