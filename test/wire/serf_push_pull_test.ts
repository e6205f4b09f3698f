import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import {
  decodePushPull,
  encodePushPull,
  type EventGroup,
  type SerfPushPull,
} from "../../lib/wire/serf_push_pull.ts";
import { serfPushPulls } from "./arbitraries.ts";
import { comparable, serfEntries, withTrailing } from "./vectors.ts";

const NAMES = /^(capture_)?pushpull_/;

function goEventGroup(group: EventGroup | undefined): unknown {
  if (group === undefined) return null;
  return {
    Events: group.events.map(({ name, payload }) => ({
      Name: name,
      Payload: payload,
    })),
    LTime: group.ltime,
  };
}

function goFields(
  state: SerfPushPull,
  isSparse: boolean,
): Record<string, unknown> {
  const groups = state.events.map(goEventGroup);
  const events = isSparse
    ? {
      Events_count: groups.length,
      Events_non_nil: Object.fromEntries(
        [...groups.entries()].filter(([, group]) => group !== null),
      ),
    }
    : { Events: groups };
  return {
    type: 2,
    EventLTime: state.eventLTime,
    ...events,
    LTime: state.ltime,
    LeftMembers: state.leftMembers,
    QueryLTime: state.queryLTime,
    StatusLTimes: state.statusLTimes,
  };
}

Deno.test("decodePushPull() reads what serf wrote", () => {
  for (const entry of serfEntries(NAMES, 8)) {
    const isSparse = "Events_count" in entry.decoded;
    const expected = entry.name === "pushpull_nil_containers"
      ? { ...entry.decoded, Events: [], LeftMembers: [], StatusLTimes: {} }
      : entry.decoded;
    for (
      const bytes of [
        bytesOfHex(entry.hex),
        withTrailing(bytesOfHex(entry.hex)),
      ]
    ) {
      const fields = goFields(decodePushPull(bytes), isSparse);
      assert.deepEqual(comparable(fields), comparable(expected), entry.name);
    }
  }
});

Deno.test("encodePushPull() writes the bytes that serf writes", () => {
  for (const entry of serfEntries(NAMES, 8)) {
    // Nil containers and payloads that are empty but not nil read the same.
    const isOneOfSeveral = /pushpull_(nil_containers|full)/.test(entry.name);
    const again = hexOf(encodePushPull(decodePushPull(bytesOfHex(entry.hex))));
    if (!isOneOfSeveral) assert.equal(again, entry.hex, entry.name);
  }
});

Deno.test("decodePushPull() gives back what encodePushPull() was given", () => {
  fc.assert(fc.property(serfPushPulls, (state) => {
    const decoded = decodePushPull(encodePushPull(state));
    // Names that look like numbers change places in a map; order says nothing.
    assert.deepEqual(sorted(decoded), sorted(state));
  }));
});

function sorted(state: SerfPushPull): unknown {
  return { ...state, statusLTimes: [...state.statusLTimes].sort() };
}

Deno.test("decodePushPull() words refusals as Serf's log does", () => {
  const cases: [hex: string, detail: string][] = [
    ["", "Remote state is zero bytes"],
    ["0380", "Remote state has bad type prefix: 3"],
    ["0281", "Failed to decode remote state: EOF"],
  ];
  for (const [hex, detail] of cases) {
    assert.throws(() => decodePushPull(bytesOfHex(hex)), {
      name: "WireError",
      detail,
    });
  }
});

Deno.test("decodePushPull() refuses more values than any cluster needs", () => {
  // An event ring of a million slots and one.
  const bytes = new Uint8Array(1_048_600).fill(0xc0);
  bytes.set(bytesOfHex("0281a64576656e7473dd00100001"));
  assert.throws(() => decodePushPull(bytes), { code: "oversized" });
});

Deno.test("decodePushPull() takes a member named __proto__ for a member", () => {
  const state: SerfPushPull = {
    ltime: 1n,
    statusLTimes: new Map([["__proto__", 7n], ["a", 8n]]),
    leftMembers: ["__proto__"],
    eventLTime: 1n,
    events: [],
    queryLTime: 1n,
  };
  assert.deepEqual(decodePushPull(encodePushPull(state)), state);
});
