import assert from "node:assert/strict";
import {
  chooseAdvertisedIp,
  isPublicIp,
  localAddresses,
  parseRouteTable,
} from "../../lib/net/interfaces.ts";

Deno.test("isPublicIp() knows the special blocks of RFC 6890", () => {
  const special = [
    "0.0.0.0",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.19.0.1",
    "240.0.0.1",
    "::1",
    "::",
    "fd00::1",
    "fe80::1",
    "2001:db8::1",
  ];
  const open = ["9.9.9.9", "100.128.0.1", "172.32.0.1", "192.169.0.1"];
  for (const ip of special) assert.equal(isPublicIp(ip), false, ip);
  for (const ip of [...open, "2606:4700::1"]) {
    assert.equal(isPublicIp(ip), true, ip);
  }
});

const MACHINE = [
  { name: "lo", address: "127.0.0.1" },
  { name: "lo", address: "::1" },
  { name: "docker0", address: "172.17.0.1" },
  { name: "eth0", address: "9.9.9.9" },
  { name: "eth0", address: "fd00::2" },
  { name: "eth0", address: "192.168.1.5" },
  { name: "eth0", address: "fe80::1" },
];

Deno.test("chooseAdvertisedIp() prefers private, the default route, then IPv4", () => {
  assert.equal(chooseAdvertisedIp("0.0.0.0", MACHINE, "eth0"), "192.168.1.5");
  assert.equal(chooseAdvertisedIp("0.0.0.0", MACHINE, undefined), "172.17.0.1");
  assert.equal(
    chooseAdvertisedIp("0.0.0.0", MACHINE.slice(0, 5), "eth0"),
    "172.17.0.1",
  );
  assert.equal(
    chooseAdvertisedIp("0.0.0.0", MACHINE.slice(3, 5), "eth0"),
    "9.9.9.9",
    "a public address is better than one that an IPv4 socket cannot hear",
  );
  assert.equal(
    chooseAdvertisedIp("::", MACHINE.slice(3, 5), "eth0"),
    "fd00::2",
  );
});

Deno.test("chooseAdvertisedIp() never tells others a local address", () => {
  assert.equal(
    chooseAdvertisedIp("::", [...MACHINE.slice(0, 2), MACHINE[6]!], "lo"),
    undefined,
  );
});

Deno.test("localAddresses() lists this machine's loopback", () => {
  assert.ok(localAddresses().some(({ address }) => address === "127.0.0.1"));
});

Deno.test("parseRouteTable() finds the default route", () => {
  const header =
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask";
  const local = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF";
  const route = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000";
  assert.equal(parseRouteTable([header, local, route, ""].join("\n")), "eth0");
  assert.equal(parseRouteTable([header, local, ""].join("\n")), undefined);
});
