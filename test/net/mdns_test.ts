/** Packets against those of HashiCorp's agents, and both ends over the loopback. */

import assert from "node:assert/strict";
import { MdnsResponder, pollMdns } from "../../lib/net/mdns.ts";
import { MdnsBudget } from "../../lib/net/mdns_budget.ts";
import {
  answerTo,
  type DiscoveredService,
  encodeServiceQuestion,
  endpointsIn,
} from "../../lib/net/mdns_message.ts";
import { until } from "./deadline.ts";

const RECORDED = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/mdns.json", import.meta.url)),
) as { own_query_hex: string; queries: string[]; answers_hex: string[] };

const D1: DiscoveredService = {
  cluster: "vec",
  instance: "d1",
  hostName: "h0",
  ip: "127.0.0.1",
  port: 32946,
};

const LOOPBACK = {
  iface: { name: "lo", ipv4: "127.0.0.1" },
  usesIpv4: true,
  usesIpv6: false,
};

Deno.test("encodeServiceQuestion() asks as HashiCorp's agents ask", () => {
  assert.equal(
    encodeServiceQuestion("vec", 0x1234).toHex(),
    RECORDED.own_query_hex,
  );
  for (const query of RECORDED.queries) {
    const id = Number.parseInt(query.slice(0, 4), 16);
    assert.equal(encodeServiceQuestion("vec", id).toHex(), query);
  }
});

Deno.test("endpointsIn() understands the answers of HashiCorp's agents", () => {
  assert.deepEqual(
    RECORDED.answers_hex.map((hex) =>
      endpointsIn(Uint8Array.fromHex(hex), "vec")
    ),
    [["127.0.0.1:32946"], ["127.0.0.1:32947"]],
  );
  const [answer = ""] = RECORDED.answers_hex;
  const bytes = Uint8Array.fromHex(answer);
  assert.deepEqual(endpointsIn(bytes, "other"), []);
  for (let length = 0; length < bytes.length; length++) {
    // A record that was cut may still be understood, but nothing is made up.
    const found = endpointsIn(bytes.subarray(0, length), "vec");
    assert.ok(found.length === 0 || found.join() === "127.0.0.1:32946");
  }
});

Deno.test("answerTo() says what HashiCorp's agents say, in their order", () => {
  const question = Uint8Array.fromHex(RECORDED.own_query_hex);
  const answer = answerTo(question, D1);
  assert.ok(answer !== undefined);
  // Theirs shortens repeated names, which ours does not.
  assert.equal(answer.subarray(0, 12).toHex(), "000084000000000400000000");
  assert.deepEqual(endpointsIn(answer, "vec"), ["127.0.0.1:32946"]);
  assert.equal(answerTo(question, { ...D1, cluster: "other" }), undefined);
  assert.equal(answerTo(answer, D1), undefined, "an answer is no question");
  assert.equal(answerTo(new Uint8Array(5), D1), undefined);
});

Deno.test("answerTo() gives each record once, however often it is asked for", () => {
  const question = Uint8Array.fromHex(RECORDED.own_query_hex);
  const answer = answerTo(question, D1);
  // The question again and again, each time as a pointer to the first one.
  const repeated = [...question];
  const count = 200;
  for (let i = 1; i < count; i++) {
    repeated.push(0xc0, 12, ...question.subarray(-4));
  }
  repeated[5] = count;
  const bytes = Uint8Array.from(repeated);
  assert.deepEqual(answerTo(bytes, D1), answer);
});

Deno.test("MdnsBudget answers so many questions of one host, and of all", () => {
  const budget = new MdnsBudget();
  const countOf = (hostOf: (i: number) => string, nowMs: number) => {
    let count = 0;
    while (budget.take(hostOf(count), nowMs)) count++;
    return count;
  };
  assert.equal(countOf(() => "10.0.0.1", 0), 64);
  assert.equal(countOf(() => "10.0.0.1", 1_000), 4);
  assert.equal(countOf((i) => `10.1.0.${i}`, 100_000), 1_024);
});

Deno.test("answerTo() and endpointsIn() know IPv6 addresses", () => {
  const question = encodeServiceQuestion("vec", 1);
  const answer = answerTo(question, { ...D1, ip: "fd00::2" });
  assert.deepEqual(endpointsIn(answer ?? new Uint8Array(), "vec"), [
    "[fd00::2]:32946",
  ]);
});

Deno.test("who asks finds everybody who answers for the cluster, once", async () => {
  const cluster = `t${crypto.randomUUID().slice(0, 8)}`;
  const responders = [
    await MdnsResponder.start({ ...D1, cluster }, LOOPBACK),
    await MdnsResponder.start(
      { ...D1, cluster, instance: "d2", port: 32947 },
      LOOPBACK,
    ),
    await MdnsResponder.start({ ...D1, cluster: "elsewhere" }, LOOPBACK),
  ];
  try {
    let found: string[] = [];
    // On a busy machine an answer may come after the wait.
    await until("both are found", async () => {
      found = [];
      await pollMdns(
        cluster,
        { ...LOOPBACK, waitMs: 300, id: 7 },
        (endpoint) => found.push(endpoint),
      );
      return found.length >= 2;
    });
    assert.deepEqual(found.sort(), ["127.0.0.1:32946", "127.0.0.1:32947"]);
  } finally {
    for (const responder of responders) responder.close();
  }
});

Deno.test("a family that does not work is left out, and none at all is an error", async () => {
  const broken = { name: "nosuch", ipv4: "203.0.113.9" };
  await assert.rejects(
    MdnsResponder.start(D1, {
      iface: broken,
      usesIpv4: true,
      usesIpv6: false,
    }),
  );
  await assert.rejects(
    MdnsResponder.start(D1, {
      iface: { name: "lo" },
      usesIpv4: true,
      usesIpv6: false,
    }),
    /interface lo has no address of that kind/,
  );
  const half = await MdnsResponder.start(D1, {
    iface: { name: "lo" },
    usesIpv4: true,
    usesIpv6: true,
  });
  half.close();
});
