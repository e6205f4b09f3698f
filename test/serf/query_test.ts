import assert from "node:assert/strict";
import { relayAddress } from "../../lib/serf/query.ts";
import type { QueryMessage, Relay } from "../../lib/wire/serf_messages.ts";
import { Parts } from "./parts.ts";

function query(ltime: bigint, id: number, flags = 0): QueryMessage {
  return {
    kind: "query",
    ltime,
    id,
    addr: Uint8Array.of(10, 0, 0, 9),
    port: 7946,
    sourceNode: "asker",
    filters: [],
    flags,
    relayFactor: 0,
    timeoutNs: 1_000_000_000n,
    name: "load",
    payload: new Uint8Array(0),
  };
}

function relay(changes: Partial<Relay> = {}): Relay {
  return {
    kind: "relay",
    destAddr: Uint8Array.of(10, 0, 0, 9),
    destPort: 7946,
    destZone: "",
    destName: "asker",
    body: Uint8Array.of(5),
    ...changes,
  };
}

Deno.test("Queries passes each query on once", () => {
  const { queries, core } = new Parts();
  assert.equal(queries.arrived(query(5n, 1), 0), true);
  assert.equal(queries.arrived(query(5n, 1), 0), false);
  assert.equal(queries.arrived(query(5n, 2), 0), true);
  assert.equal(queries.arrived(query(6n, 1), 0), true);
  assert.equal(core.queryClock.time, 7n);
  assert.equal(core.counters.queries, 3);
});

Deno.test("Queries keeps a query to itself when asked to", () => {
  const { queries, core } = new Parts();
  assert.equal(queries.arrived(query(5n, 1, 2), 0), false);
  assert.equal(queries.arrived(query(5n, 2, 1), 0), true);
  assert.equal(queries.arrived(query(5n, 3, 3), 0), false);
  assert.equal(core.counters.queries, 3);
});

Deno.test("Queries drops queries older than its ring", () => {
  const parts = new Parts();
  const { queries } = parts;
  const accepted = [1_000n, 489n, 488n].map((ltime) =>
    queries.arrived(query(ltime, 1), 0)
  );
  assert.deepEqual(accepted, [true, true, false]);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: received old query load from time 488 (current: 1001)",
  ]);
});

Deno.test("Queries bounds what one time may hold", () => {
  const parts = new Parts();
  for (let id = 0; id < 1_024; id++) parts.queries.arrived(query(1n, id), 0);
  assert.equal(parts.queries.arrived(query(1n, 9_999), 0), false);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: too many queries at time 1, dropping load",
  ]);
  assert.equal(parts.core.counters.queries, 1_024);
});

Deno.test("Queries.responseArrived() has nobody waiting for it", () => {
  const parts = new Parts();
  parts.queries.responseArrived({
    kind: "queryResponse",
    ltime: 3n,
    id: 77,
    from: "b",
    flags: 0,
    payload: new Uint8Array(0),
  }, 0);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: reply for non-running query (LTime: 3, ID: 77) From: b",
  ]);
  assert.equal(parts.core.queryClock.time, 1n, "a response moves no clock");
});

Deno.test("relayAddress() writes both families of addresses", () => {
  assert.equal(relayAddress(relay()), "10.0.0.9:7946");
  const destAddr = new Uint8Array(16);
  destAddr.set([0xfe, 0x80]);
  destAddr[15] = 1;
  assert.equal(relayAddress(relay({ destAddr })), "[fe80::1]:7946");
  const zoned = relay({ destAddr, destZone: "eth0" });
  assert.equal(relayAddress(zoned), "[fe80::1%eth0]:7946");
});

Deno.test("relayAddress() refuses what is no address", () => {
  assert.equal(relayAddress(relay({ destAddr: new Uint8Array(0) })), undefined);
  assert.equal(relayAddress(relay({ destAddr: new Uint8Array(5) })), undefined);
  assert.equal(relayAddress(relay({ destPort: 0 })), undefined);
  const destAddr = new Uint8Array(16);
  const zoned = relay({ destAddr, destZone: "x]:1 [::2" });
  assert.equal(relayAddress(zoned), undefined);
});
