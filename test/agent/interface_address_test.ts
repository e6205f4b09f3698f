import assert from "node:assert/strict";
import { readSettings, type SettingsLayer } from "../../lib/agent/config.ts";
import { addressOnInterface } from "../../lib/agent/interface_address.ts";

/** Addresses of the interface, where to bind, and what comes of it. */
const CHOICES: readonly (readonly [string[], string, string])[] = [
  [["127.0.0.1", "::1"], "0.0.0.0", "127.0.0.1"],
  [["169.254.1.1", "10.0.0.5", "10.0.0.6"], "0.0.0.0", "10.0.0.5"],
  [["fe80::1", "febf::1", "2001:db8::5"], "0.0.0.0", "2001:db8::5"],
  [["10.0.0.5", "fe80::1", "fc00::5"], "::", "fc00::5"],
  [["10.0.0.5", "fe80::1%eth0"], "::", "10.0.0.5"],
  [["10.0.0.5", "10.0.0.6"], "10.0.0.6", "10.0.0.6"],
  [["fe80::1"], "fe80::1", "fe80::1"],
];

Deno.test("addressOnInterface() takes the first address that is not link-local", () => {
  for (const [addresses, host, expected] of CHOICES) {
    assert.deepEqual(
      addressOnInterface("eth0", addresses, { host, port: 5 }),
      { host: expected, port: 5 },
      `${host} of ${addresses}`,
    );
  }
});

Deno.test("addressOnInterface() says what an interface lacks", () => {
  const complaints: readonly (readonly [string[], string, string])[] = [
    [[], "0.0.0.0", "Interface 'eth0' has no addresses"],
    [["10.0.0.5"], "10.0.0.7", "Interface 'eth0' has no '10.0.0.7' address"],
    [
      ["fe80::1", "169.254.0.1"],
      "0.0.0.0",
      "Failed to find usable address for interface 'eth0'",
    ],
  ];
  for (const [addresses, host, message] of complaints) {
    assert.throws(
      () => addressOnInterface("eth0", addresses, { host, port: 5 }),
      { name: "ConfigError", message, setting: "interfaceName" },
    );
  }
});

/** Reads settings on a machine with one interface; what it said comes second. */
async function readOnMachine(
  layer: SettingsLayer,
): Promise<[string, string[]]> {
  const said: string[] = [];
  const { bind } = await readSettings([layer], {
    hostname: () => "this-machine",
    interfaceAddresses: (name) => name === "eth0" ? ["10.0.0.5"] : undefined,
    say: (message) => said.push(message),
  });
  return [bind.host, said];
}

Deno.test("readSettings() says which address of the interface it took", async () => {
  assert.deepEqual(await readOnMachine({ interfaceName: "eth0" }), [
    "10.0.0.5",
    ["Using interface 'eth0' address '10.0.0.5'"],
  ]);
  assert.deepEqual(
    await readOnMachine({ interfaceName: "eth0", bind: "10.0.0.5:1" }),
    ["10.0.0.5", []],
  );
  await assert.rejects(readOnMachine({ interfaceName: "eth1" }), {
    message:
      "Invalid network interface: route ip+net: no such network interface",
  });
});

Deno.test("readSettings() looks at the real interfaces unless told otherwise", async () => {
  const loopback = Deno.networkInterfaces().find(({ address }) =>
    address === "127.0.0.1"
  );
  assert.ok(loopback !== undefined);
  const { bind } = await readSettings(
    [{ interfaceName: loopback.name, bind: "127.0.0.1" }],
    { hostname: () => "" },
  );
  assert.equal(bind.host, "127.0.0.1");
});
