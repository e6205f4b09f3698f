import assert from "node:assert/strict";
import type { MemberEventType } from "../../lib/serf/event.ts";
import { memberOf } from "../../lib/serf/member.ts";
import { SharedAddresses } from "../../lib/serf/shared_addresses.ts";
import { nodeOf } from "./parts.ts";

/** Members as words: a name and the last byte of the address. */
function see(
  addresses: SharedAddresses,
  type: MemberEventType,
  ...members: readonly [string, number][]
): string[] {
  return addresses.see({
    type,
    members: members.map(([name, byte]) =>
      memberOf(nodeOf(name, byte), "alive")
    ),
  });
}

const TEXT =
  'Members "a" and "b" both advertise 10.0.0.1:7946, so at most one ' +
  "of them can be reached; check their -advertise and -bind (if one was " +
  "renamed, this passes)";

Deno.test("SharedAddresses tells of an address once, at its first sight", () => {
  const addresses = new SharedAddresses();
  assert.deepEqual(see(addresses, "member-join", ["a", 1], ["c", 2]), []);
  assert.deepEqual(see(addresses, "member-join", ["b", 1], ["d", 1]), [TEXT]);
  assert.deepEqual(see(addresses, "member-failed", ["b", 1]), []);
  assert.deepEqual(see(addresses, "member-join", ["b", 1], ["a", 1]), []);
  assert.equal(see(addresses, "member-join", ["x", 2]).length, 1);
});

Deno.test("SharedAddresses minds live members alone, where they are now", () => {
  const addresses = new SharedAddresses();
  for (const end of ["member-leave", "member-failed", "member-reap"] as const) {
    see(addresses, "member-join", ["a", 1]);
    see(addresses, end, ["a", 1]);
    assert.deepEqual(see(addresses, "member-join", ["b", 1]), [], end);
    see(addresses, end, ["b", 1]);
  }
  see(addresses, "member-join", ["a", 1]);
  assert.deepEqual(see(addresses, "member-update", ["a", 1]), []);
  see(addresses, "member-join", ["a", 3]);
  assert.deepEqual(see(addresses, "member-join", ["b", 1]), []);
});

Deno.test("SharedAddresses tells of 32 addresses, then no more", () => {
  const addresses = new SharedAddresses();
  let told = 0;
  for (let i = 0; i < 200; i++) {
    const members = [[`a${i}`, i], [`b${i}\n`, i]] as [string, number][];
    told += see(addresses, "member-join", ...members).length;
  }
  assert.equal(told, 32);
});
