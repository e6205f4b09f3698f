import assert from "node:assert/strict";
import { advertisedAddress } from "../../lib/net/advertise.ts";
import { localAddresses } from "../../lib/net/interfaces.ts";

const BOUND = { host: "10.0.0.1", port: 7946 };

Deno.test("advertisedAddress() prefers what it is given", () => {
  assert.deepEqual(advertisedAddress(undefined, BOUND), BOUND);
  assert.deepEqual(
    advertisedAddress({ host: "9.9.9.9", port: 5 }, BOUND),
    { host: "9.9.9.9", port: 5 },
  );
  assert.deepEqual(
    advertisedAddress({ host: "9.9.9.9", port: 0 }, BOUND),
    { host: "9.9.9.9", port: 7946 },
  );
});

Deno.test("advertisedAddress() never announces every interface", () => {
  const addresses = localAddresses().map(({ address }) => address);
  for (const host of ["0.0.0.0", "::"]) {
    let announced: string;
    try {
      announced = advertisedAddress(undefined, { host, port: 1 }).host;
    } catch (error) {
      // A machine without a network has nothing to announce.
      assert.match((error as Error).message, /explicit IP not provided$/);
      continue;
    }
    assert.ok(addresses.includes(announced), announced);
    assert.ok(!/^127\.|^::1$/.test(announced), announced);
  }
});

Deno.test("advertisedAddress() wants an IP address", () => {
  assert.throws(
    () => advertisedAddress({ host: "example.org", port: 1 }, BOUND),
    RangeError,
  );
});
