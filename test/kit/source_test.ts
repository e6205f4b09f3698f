import assert from "node:assert/strict";
import { ipOfEndpoint, sourceOfIp } from "../../lib/kit/source.ts";

Deno.test("ipOfEndpoint() takes the port off", () => {
  assert.equal(ipOfEndpoint("10.0.0.1:7946"), "10.0.0.1");
  assert.equal(ipOfEndpoint("[fd00::1]:7946"), "fd00::1");
  assert.equal(ipOfEndpoint("somewhere"), "somewhere");
});

Deno.test("sourceOfIp() takes an IPv4 address whole, an IPv6 address as its network", () => {
  assert.equal(sourceOfIp("10.0.0.1"), "10.0.0.1");
  assert.equal(sourceOfIp("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(
    sourceOfIp("2001:db8:1:2:ffff::1"),
    sourceOfIp("2001:db8:1:2::9"),
  );
  assert.notEqual(sourceOfIp("2001:db8:1:2::1"), sourceOfIp("2001:db8:1:3::1"));
  assert.equal(sourceOfIp("::1"), "::/64");
  assert.equal(sourceOfIp("fe80::1%eth0"), "fe80::1%eth0");
});
