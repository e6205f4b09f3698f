import assert from "node:assert/strict";
import { relayAddress } from "../../lib/serf/relay.ts";
import type { Relay } from "../../lib/wire/serf_messages.ts";

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
