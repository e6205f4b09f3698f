/** The small parts of lib/rpc: one or two tests each. */

import { decode as libraryDecode } from "@msgpack/msgpack";
import fc from "fast-check";
import assert from "node:assert/strict";
import {
  bytesOfHex,
  concatBytes,
  hexOf,
  utf8Bytes,
} from "../../lib/kit/bytes.ts";
import { isSameSecret } from "../../lib/rpc/auth.ts";
import {
  isEventWanted,
  parseEventFilters,
} from "../../lib/rpc/event_filter.ts";
import { filterMembers, needsCompiler } from "../../lib/rpc/member_filter.ts";
import { REQUEST_LIMITS, ValueCutter } from "../../lib/rpc/protocol.ts";
import {
  commandFormat,
  decodeRequestBody,
  decodeRequestHeader,
} from "../../lib/rpc/request.ts";
import { WaitingRecords } from "../../lib/rpc/waiting_records.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import type { SerfEvent } from "../../lib/serf/event.ts";
import { member, queryEvent } from "./fake_target.ts";

Deno.test("isSameSecret() accepts the token and nothing else", () => {
  const cases: [guess: string, secret: string, isSame: boolean][] = [
    ["s3cret", "s3cret", true],
    ["s3cre", "s3cret", false],
    ["s3crett", "s3cret", false],
    ["s3creT", "s3cret", false],
    ["", "s3cret", false],
    ["\0", "", false],
    ["", "", true],
    ["schlüssel", "schlüssel", true],
  ];
  for (const [guess, secret, isSame] of cases) {
    assert.equal(isSameSecret(guess, secret), isSame, `${guess} for ${secret}`);
  }
});

Deno.test("parseEventFilters() knows the types, and names of user events and queries", () => {
  assert.deepEqual(parseEventFilters(""), [{ type: "*", name: "" }]);
  assert.deepEqual(parseEventFilters("member-join,user:a:b,query:,user"), [
    { type: "member-join", name: "" },
    { type: "user", name: "a:b" },
    { type: "query", name: "" },
    { type: "user", name: "" },
  ]);
  for (
    const bad of ["foo", "member-join,", ",", " user", "member-join:x", "USER"]
  ) {
    assert.equal(parseEventFilters(bad), undefined, bad);
  }
});

Deno.test("isEventWanted() compares types and names", () => {
  const user: SerfEvent = {
    type: "user",
    ltime: 1n,
    name: "deploy",
    payload: new Uint8Array(0),
    coalesce: false,
  };
  const join: SerfEvent = { type: "member-join", members: [] };
  const cases: [filter: string, wantsUser: boolean, wantsJoin: boolean][] = [
    ["*", true, true],
    ["user", true, false],
    ["user:deploy", true, false],
    ["user:other", false, false],
    ["member-leave,member-join", false, true],
    ["query", false, false],
  ];
  for (const [text, wantsUser, wantsJoin] of cases) {
    const filters = parseEventFilters(text) ?? [];
    assert.equal(isEventWanted(filters, user), wantsUser, text);
    assert.equal(isEventWanted(filters, join), wantsJoin, text);
  }
  const wantsQuery = ["*", "query", "query:load", "user,query:"];
  for (const text of [...wantsQuery, "user", "query:other", "user:load"]) {
    const filters = parseEventFilters(text) ?? [];
    const isWanted = isEventWanted(filters, queryEvent({ name: "load" }));
    assert.equal(isWanted, wantsQuery.includes(text), text);
  }
});

Deno.test("filterMembers() compares plain words without a compiler", () => {
  const members = [
    member("n1", { tags: { role: "lb", dc: "east" } }),
    member("n2", { tags: { role: "web" }, status: "failed" }),
  ];
  const names = (
    filter: { name?: string; status?: string; tags?: [string, string][] },
  ) => {
    const whole = {
      name: filter.name ?? "",
      status: filter.status ?? "",
      tags: new Map(filter.tags),
    };
    assert.equal(needsCompiler(whole), false);
    return filterMembers(members, whole, undefined).map(({ name }) => name)
      .join(" ");
  };
  assert.equal(names({}), "n1 n2");
  assert.equal(names({ name: "n2" }), "n2");
  assert.equal(names({ name: "n" }), "");
  assert.equal(names({ status: "failed" }), "n2");
  assert.equal(names({ tags: [["dc", ""]] }), "n2", "a missing tag is empty");
  assert.equal(names({ tags: [["role", "web"], ["dc", "east"]] }), "");
});

Deno.test("filterMembers() sets expressions between ^ and $ without a group", () => {
  const asked: string[] = [];
  const compile = (expression: string) => {
    asked.push(expression);
    return () => true;
  };
  const filter = { name: "n1|x3", status: "", tags: new Map([["a", "b*"]]) };
  assert.ok(needsCompiler(filter));
  filterMembers([member("n1")], filter, compile);
  assert.deepEqual(asked, ["^b*$", "^n1|x3$"]);
});

Deno.test("filterMembers() looks at each text once, and refuses what is too much work", () => {
  const matched: string[] = [];
  const compile = () => (text: string) => {
    matched.push(text);
    return true;
  };
  const filter = (name: string, role = "") => ({
    name,
    status: "",
    tags: new Map([["role", role]]),
  });
  const members = Array.from(
    { length: 20_000 },
    (_, i) =>
      member(`web-${i}.dc${i % 7}.example`, {
        tags: { role: `r${i % 2}` },
      }),
  );
  const found = filterMembers(
    members,
    filter("web-[0-9]{1,5}.*", "r[0-9]"),
    compile,
  );
  assert.equal(found.length, members.length);
  assert.equal(matched.length, 20_002);
  matched.length = 0;
  assert.throws(
    () => filterMembers(members, filter("(a?){900}.*", "r.*"), compile),
    { name: "SyntaxError", message: /too large for so many members/ },
  );
  assert.ok(matched.length < 5_000);
});

Deno.test("filterMembers() compiles only so much for one request", () => {
  const filterOf = (count: number) => ({
    name: "",
    status: "",
    tags: new Map(
      Array.from({ length: count }, (_, i) => [`t${i}`, "a{0,990}"]),
    ),
  });
  let compiled = 0;
  const compile = () => {
    compiled++;
    return () => true;
  };
  const members = [member("n1")];
  assert.deepEqual(filterMembers(members, filterOf(4), compile), members);
  compiled = 0;
  assert.throws(() => filterMembers(members, filterOf(400), compile), {
    name: "SyntaxError",
    message: "error parsing regexp: expression too large",
  });
  assert.equal(compiled, 4);
});

Deno.test("WaitingRecords keeps order and capacity; a drop is reported once per episode", () => {
  // Against the obvious: an array, and a flag that falls at half the capacity.
  fc.assert(fc.property(
    fc.integer({ min: 2, max: 8 }),
    fc.array(fc.boolean(), { maxLength: 200 }),
    (capacity, steps) => {
      const records = new WaitingRecords<number>(capacity);
      let model: number[] = [];
      let isDropping = false;
      for (const [i, isOffer] of steps.entries()) {
        if (!isOffer) {
          assert.equal(records.take(), model[0]);
          model = model.slice(1);
          if (model.length <= capacity / 2) isDropping = false;
        } else if (model.length < capacity) {
          assert.equal(records.offer(i).isFirstDrop, false);
          model.push(i);
        } else {
          assert.equal(records.offer(i).isFirstDrop, !isDropping);
          isDropping = true;
        }
        assert.equal(records.size, model.length);
      }
    },
  ));
});

Deno.test("ValueCutter gives back whole values, however they are cut", () => {
  const values = [
    "00",
    "81a16101",
    "c403010203",
    "93c0c3a3616263",
    "cb3ff8000000000000",
  ]
    .map(bytesOfHex);
  fc.assert(fc.property(
    fc.array(fc.constantFrom(...values), { maxLength: 40 }),
    fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 }),
    (sent, sizes) => {
      const stream = concatBytes(sent);
      const cutter = new ValueCutter(REQUEST_LIMITS);
      const got: string[] = [];
      let at = 0;
      for (let i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] as number;
        cutter.push(stream.subarray(at, at + size));
        at += size;
        for (let value; (value = cutter.next()) !== undefined;) {
          got.push(hexOf(value));
        }
      }
      assert.deepEqual(got, sent.map(hexOf));
      assert.equal(cutter.hasBytes, false);
    },
  ));
});

Deno.test("ValueCutter takes values much larger than its buffer, in small pieces", () => {
  const value = new RpcWriter().bytes(new Uint8Array(900_000).fill(7)).finish();
  const cutter = new ValueCutter(REQUEST_LIMITS);
  for (let at = 0; at < value.length; at += 10_000) {
    assert.equal(cutter.next(), undefined);
    cutter.push(value.subarray(at, at + 10_000));
  }
  cutter.push(Uint8Array.of(0xc0));
  assert.deepEqual(cutter.next(), value);
  assert.deepEqual(cutter.next(), Uint8Array.of(0xc0));
});

Deno.test("RpcWriter tells texts and byte strings apart, each in its shortest form", () => {
  for (const length of [0, 1, 31, 32, 255, 256, 65_535, 65_536]) {
    const text = "x".repeat(length);
    const bytes = utf8Bytes(text);
    assert.equal(libraryDecode(new RpcWriter().text(text).finish()), text);
    assert.deepEqual(
      libraryDecode(new RpcWriter().bytes(bytes).finish()),
      bytes,
    );
  }
  const heads = [31, 32, 256].map((length) =>
    new RpcWriter().text("x".repeat(length)).finish()[0]?.toString(16)
  );
  assert.deepEqual(heads, ["bf", "d9", "da"]);
});

Deno.test("decodeRequestHeader() keeps what a header leaves out", () => {
  const previous = { command: "stats", seq: 7n };
  const decoded = (hex: string) =>
    decodeRequestHeader(bytesOfHex(hex), previous);
  assert.deepEqual(decoded("80"), previous);
  assert.deepEqual(decoded("81a353657105"), { command: "stats", seq: 5n });
  assert.deepEqual(decoded("92a473746f7002"), { command: "stop", seq: 2n });
  assert.throws(() => decoded("81a3536571ff"), /negative/);
  assert.throws(() => decoded("81a3536571ca3f800000"), /unsigned integer/);
  assert.throws(() => decoded("81a7436f6d6d616e6405"), /Command/);
});

Deno.test("decodeRequestBody() refuses a version beyond 32 bits", () => {
  const format = commandFormat("handshake");
  assert.ok(format?.hasBody);
  const body = (version: bigint) =>
    new RpcWriter().map(1).text("Version").int64(version).finish();
  assert.deepEqual(decodeRequestBody(format, body(-1n)), {
    kind: "handshake",
    version: -1,
  });
  assert.throws(() => decodeRequestBody(format, body(0x8000_0000n)), /int32/);
});
