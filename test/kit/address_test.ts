import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatEndpoint,
  formatIp,
  isSameIp,
  parseIp,
  splitHostPort,
} from "../../lib/kit/address.ts";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";

/** Texts as Go's net.IP prints them. */
const IPS: readonly (readonly [string, string])[] = [
  ["7f000001", "127.0.0.1"],
  ["00000000000000000000000000000001", "::1"],
  ["00000000000000000000000000000000", "::"],
  ["20010db8000000000000000000000001", "2001:db8::1"],
  ["20010db8000000010000000000000001", "2001:db8:0:1::1"],
  ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
  ["fe800000000000000000000000000000", "fe80::"],
  ["00010000000000020000000000000003", "1:0:0:2::3"],
];

Deno.test("formatIp() and parseIp() are inverse on Go's spellings", () => {
  for (const [hex, text] of IPS) {
    assert.equal(formatIp(bytesOfHex(hex)), text);
    const parsed = parseIp(text);
    assert.ok(parsed !== undefined, text);
    assert.equal(hexOf(parsed), hex);
  }
});

Deno.test("formatIp() prints mapped IPv4 as IPv4 and odd lengths as hexadecimal", () => {
  assert.equal(
    formatIp(bytesOfHex("00000000000000000000ffff01020304")),
    "1.2.3.4",
  );
  assert.equal(formatIp(bytesOfHex("010203")), "?010203");
  assert.equal(formatIp(new Uint8Array(0)), "<nil>");
});

Deno.test("parseIp() refuses what is no address", () => {
  const bad = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "a.b.c.d",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "::g",
    "1.2.3.4::",
    "::1.2.3",
    "fe80::1%eth0",
    "1:2:3:4:5:6:7::8",
  ];
  for (const text of bad) assert.equal(parseIp(text), undefined, text);
  assert.equal(
    hexOf(parseIp("::ffff:1.2.3.4") as Uint8Array).slice(-12),
    "ffff01020304",
  );
});

Deno.test("formatIp() then parseIp() keeps any IPv6 address that is not mapped", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const parsed = parseIp(formatIp(bytes));
      assert.ok(parsed !== undefined);
      assert.ok(isSameIp(parsed, bytes));
    }),
  );
});

Deno.test("splitHostPort() takes apart what Go takes apart", () => {
  assert.deepEqual(splitHostPort("127.0.0.1:80"), {
    host: "127.0.0.1",
    port: 80,
  });
  assert.deepEqual(splitHostPort("[::1]:7946"), { host: "::1", port: 7946 });
  assert.deepEqual(splitHostPort(":0"), { host: "", port: 0 });
  const bad: readonly (readonly [string, RegExp])[] = [
    ["127.0.0.1", /address 127.0.0.1: missing port in address/],
    ["::1", /address ::1: too many colons in address/],
    ["[::1]", /missing port in address/],
    ["[::1:80", /missing ']' in address/],
    ["h:x", /invalid port/],
    ["h:65536", /invalid port/],
    ["h:", /invalid port/],
  ];
  for (const [text, message] of bad) {
    assert.throws(() => splitHostPort(text), { name: "SyntaxError", message });
  }
});

Deno.test("formatEndpoint() puts brackets around IPv6", () => {
  assert.equal(formatEndpoint("1.2.3.4", 5), "1.2.3.4:5");
  assert.equal(formatEndpoint("::1", 5), "[::1]:5");
});
