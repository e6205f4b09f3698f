import assert from "node:assert/strict";
import { memberOf, nodeAddress, nodeFacts } from "../../lib/serf/member.ts";
import { nodeOf } from "./parts.ts";

Deno.test("memberOf() shows what a node says of itself", () => {
  const node = nodeOf("web-1", 7, new Map([["role", "web"]]));
  assert.deepEqual(memberOf(node, "failed"), {
    name: "web-1",
    addr: Uint8Array.of(10, 0, 0, 7),
    ip: "10.0.0.7",
    port: 7946,
    tags: new Map([["role", "web"]]),
    status: "failed",
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 5,
  });
});

Deno.test("memberOf() takes missing versions for 0", () => {
  const member = memberOf({ ...nodeOf("a"), vsn: new Uint8Array(0) }, "alive");
  assert.equal(member.protocolMin, 0);
  assert.equal(member.delegateCur, 0);
});

Deno.test("memberOf() takes a meta of protocol 2 for the role", () => {
  const node = { ...nodeOf("a"), meta: new TextEncoder().encode("db") };
  assert.deepEqual(memberOf(node, "alive").tags, new Map([["role", "db"]]));
});

Deno.test("nodeFacts() decodes a descriptor once", () => {
  const node = nodeOf("a", 1, new Map([["dc", "east"]]));
  assert.equal(nodeFacts(node), nodeFacts(node));
  assert.equal(memberOf(node, "alive").tags, memberOf(node, "left").tags);
});

Deno.test("nodeFacts() keeps the tags before a break, and the reason", () => {
  const meta = nodeOf("a", 1, new Map([["dc", "east"], ["role", "web"]])).meta;
  const facts = nodeFacts({ ...nodeOf("a"), meta: meta.subarray(0, -1) });
  assert.deepEqual(facts.tags, new Map([["dc", "east"]]));
  assert.match(facts.tagsError?.detail ?? "", /^Failed to decode tags: /);
});

Deno.test("nodeAddress() puts IPv6 into brackets", () => {
  const addr = new Uint8Array(16);
  addr[15] = 1;
  assert.equal(nodeAddress({ ...nodeOf("a"), addr }), "[::1]:7946");
});
