import assert from "node:assert/strict";
import {
  lookupHost,
  resolveBindAddress,
  resolveJoinAddress,
  resolveListenAddress,
} from "../../lib/net/resolve.ts";

/** A resolver that knows one name. */
const lookup = (host: string): Promise<readonly string[]> =>
  host === "two.example"
    ? Promise.resolve(["2001:db8::7", "192.0.2.7"])
    : Promise.reject(new Error(`lookup ${host}: no such host`));

const join = async (text: string) =>
  (await resolveJoinAddress(text, 7946, lookup)).map((target) =>
    target.name === undefined
      ? target.address
      : `${target.name} at ${target.address}`
  );

Deno.test("resolveJoinAddress() reads every form of memberlist's addresses", async () => {
  const cases: Record<string, string[]> = {
    "127.0.0.1": ["127.0.0.1:7946"],
    "127.0.0.1:1": ["127.0.0.1:1"],
    "::1": ["[::1]:7946"],
    "fe80::1": ["[fe80::1]:7946"],
    "[::1]": ["[::1]:7946"],
    "[::1]:65535": ["[::1]:65535"],
    "::ffff:10.0.0.1": ["10.0.0.1:7946"],
    "n1/127.0.0.1:1": ["n1 at 127.0.0.1:1"],
    "n1/::1": ["n1 at [::1]:7946"],
    "two.example": ["[2001:db8::7]:7946", "192.0.2.7:7946"],
    "n1/two.example:5": ["n1 at [2001:db8::7]:5", "n1 at 192.0.2.7:5"],
  };
  for (const [text, expected] of Object.entries(cases)) {
    assert.deepEqual(await join(text), expected, text);
  }
});

// What serf 0.9.4 prints for `agent -join=TEXT`.
Deno.test("resolveJoinAddress() refuses with Go's words", async () => {
  const cases: Record<string, string> = {
    "127.0.0.1:x": 'strconv.ParseUint: parsing "x": invalid syntax',
    "127.0.0.1:": 'strconv.ParseUint: parsing "": invalid syntax',
    "127.0.0.1:70000": 'strconv.ParseUint: parsing "70000": value out of range',
    "/127.0.0.1": "empty node name provided",
    ":1": "lookup : no such host",
    "a/b/c:1": "lookup b/c: no such host",
    "1.2.3:1": "lookup 1.2.3: no such host",
  };
  for (const [text, expected] of Object.entries(cases)) {
    await assert.rejects(resolveJoinAddress(text, 7946, lookup), {
      message: expected,
    }, text);
  }
});

Deno.test("resolveBindAddress() adds the port that is missing", async () => {
  const cases: Record<string, [string, number]> = {
    "127.0.0.1": ["127.0.0.1", 7946],
    "127.0.0.1:0": ["127.0.0.1", 0],
    "127.0.0.1:": ["127.0.0.1", 0],
    "127.0.0.1:+5": ["127.0.0.1", 5],
    "[::1]": ["::1", 7946],
    "[::1]:5": ["::1", 5],
    ":5": ["0.0.0.0", 5],
    "two.example": ["192.0.2.7", 7946],
  };
  for (const [text, [host, port]] of Object.entries(cases)) {
    assert.deepEqual(
      await resolveBindAddress(text, 7946, lookup),
      { host, port },
      text,
    );
  }
});

// What serf 0.9.4 prints for `agent -bind=TEXT` and `-rpc-addr=TEXT`.
Deno.test("resolveListenAddress() and resolveBindAddress() refuse with Go's words", async () => {
  const cases: Record<string, string> = {
    "127.0.0.1:x": "address tcp/x: unknown port",
    "127.0.0.1:0x5": "address tcp/0x5: unknown port",
    "127.0.0.1:70000": "address 70000: invalid port",
    "127.0.0.1:-1": "address -1: invalid port",
    "::1": "address ::1: too many colons in address",
    "[::1": "address [::1: missing ']' in address",
    "nosuch.example:1": "lookup nosuch.example: no such host",
  };
  for (const [text, expected] of Object.entries(cases)) {
    await assert.rejects(resolveBindAddress(text, 7946, lookup), {
      message: expected,
    }, text);
  }
  await assert.rejects(resolveListenAddress("127.0.0.21", lookup), {
    message: "address 127.0.0.21: missing port in address",
  });
});

Deno.test("lookupHost() asks the system, and only for names", async () => {
  assert.ok((await lookupHost("localhost")).length > 0);
  await assert.rejects(lookupHost("1.2.3"), {
    message: "lookup 1.2.3: no such host",
  });
  await assert.rejects(lookupHost(""), { message: "lookup : no such host" });
});
