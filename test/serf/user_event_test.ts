import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex } from "../../lib/kit/bytes.ts";
import { Parts } from "./parts.ts";

const NO_BYTES = new Uint8Array(0);

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function event(
  ltime: bigint,
  name: string,
  text = "",
): { ltime: bigint; name: string; payload: Uint8Array; coalesce: boolean } {
  return { ltime, name, payload: bytesOf(text), coalesce: false };
}

Deno.test("UserEvents accepts what is new within the window (`stale_window`)", () => {
  // Sequence run against serf 0.9.4.
  const parts = new Parts();
  const accepted = [1_000n, 489n, 488n, 487n, 1_000n].map((ltime) =>
    parts.userEvents.arrived(event(ltime, "e"), 0)
  );
  assert.deepEqual(accepted, [true, true, false, false, false]);
  assert.equal(parts.core.eventClock.time, 1_001n);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: received old event e from time 488 (current: 1001)",
    "[WARN] serf: received old event e from time 487 (current: 1001)",
  ]);
});

Deno.test("UserEvents tells events apart by time, name and payload alone", () => {
  const parts = new Parts();
  const { userEvents } = parts;
  const first = { ...event(5n, "deploy", "v1"), coalesce: true };
  assert.equal(userEvents.arrived(first, 0), true);
  assert.equal(userEvents.arrived({ ...first, coalesce: false }, 0), false);
  assert.equal(userEvents.arrived(event(5n, "deploy", "v2"), 0), true);
  assert.equal(userEvents.arrived(event(5n, "restart", "v1"), 0), true);
  assert.equal(userEvents.arrived(event(6n, "deploy", "v1"), 0), true);
  assert.deepEqual(parts.takeEvents(), [
    "user: deploy@5=v1",
    "user: deploy@5=v2",
    "user: restart@5=v1",
    "user: deploy@6=v1",
  ]);
  assert.equal(parts.core.metrics.userEvents.total.value, 4);
});

Deno.test("UserEvents.ignoreBefore() drops silently and never goes back", () => {
  const parts = new Parts();
  const { userEvents } = parts;
  userEvents.ignoreBefore(80n);
  userEvents.ignoreBefore(10n);
  assert.equal(userEvents.minTime, 80n);
  assert.equal(userEvents.arrived(event(79n, "ign"), 0), false);
  assert.equal(userEvents.arrived(event(80n, "keep"), 0), true);
  assert.equal(parts.core.eventClock.time, 81n);
  assert.deepEqual(parts.takeLog(), []);
});

Deno.test("UserEvents.send() uses a time of its own for each event", () => {
  const parts = new Parts();
  const { userEvents, core } = parts;
  const first = { name: "deploy", payload: bytesOf("v1"), coalesce: true };
  const body = userEvents.send(first, 0);
  // The layout is that of serf's own encoder: CC, LTime, Name, Payload.
  assert.deepEqual(
    body,
    bytesOfHex(
      "0384a24343c3a54c54696d6501a44e616d65a66465706c6f79a75061796c6f6164a27631",
    ),
  );
  userEvents.send({ name: "x", payload: NO_BYTES, coalesce: false }, 0);
  assert.equal(core.eventClock.time, 3n);
  assert.deepEqual(parts.takeEvents(), ["user: deploy@1=v1", "user: x@2="]);
});

Deno.test("UserEvents.send() refuses events that are too long", () => {
  const parts = new Parts();
  const { userEvents } = parts;
  const sendBytes = (payloadBytes: number) =>
    userEvents.send({
      name: "n",
      payload: new Uint8Array(payloadBytes),
      coalesce: false,
    }, 0);
  assert.throws(() => sendBytes(512), {
    name: "RangeError",
    message: "user event exceeds configured limit of 512 bytes before encoding",
  });
  assert.throws(() => sendBytes(482), {
    name: "RangeError",
    message:
      "encoded user event exceeds configured limit of 512 bytes after encoding",
  });
  assert.equal(parts.core.eventClock.time, 1n);
  assert.deepEqual(parts.takeEvents(), []);
  // Name and payload of 482 bytes make an encoding of exactly 512.
  assert.equal(sendBytes(481).length, 512);
});

Deno.test("UserEvents keeps no view of the bytes it was given", () => {
  const parts = new Parts();
  const payload = bytesOf("v1");
  parts.userEvents.arrived({ ...event(1n, "deploy"), payload }, 0);
  payload.fill(0);
  assert.deepEqual(parts.takeEvents(), ["user: deploy@1=v1"]);
  const kept = parts.userEvents.groups()[1]?.events[0]?.payload;
  assert.deepEqual(kept, bytesOf("v1"));
});

Deno.test("UserEvents bounds what one time may hold", () => {
  const parts = new Parts();
  const { userEvents } = parts;
  for (let i = 0; i < 1_024; i++) {
    assert.equal(userEvents.arrived(event(1n, "e", `${i}`), 0), true);
  }
  assert.equal(userEvents.arrived(event(1n, "e", "one more"), 0), false);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: too many events at time 1, dropping e",
  ]);
  assert.equal(userEvents.arrived(event(2n, "e", "one more"), 0), true);
});

Deno.test("UserEvents bounds the whole ring, and forgets the oldest first", () => {
  const parts = new Parts();
  const { userEvents } = parts;
  const payload = new Uint8Array(512 * 1024);
  for (let ltime = 1n; ltime <= 9n; ltime++) {
    assert.equal(
      userEvents.arrived({ ...event(ltime, "big"), payload }, 0),
      true,
    );
  }
  const kept = userEvents.groups().filter((group) => group !== undefined);
  assert(kept.length < 9);
  assert.equal(kept.at(-1)?.ltime, 9n);
  // What gave way is old now; it does not come again.
  assert.equal(userEvents.arrived({ ...event(1n, "big"), payload }, 0), false);
});

Deno.test("UserEvents delivers each event once in any order of arrival", () => {
  const arrival = fc.record({
    ltime: fc.bigInt({ min: 0n, max: 400n }),
    name: fc.constantFrom("a", "b"),
    text: fc.constantFrom("", "x"),
  });
  fc.assert(fc.property(fc.array(arrival), (arrivals) => {
    const parts = new Parts();
    const expected = new Set<string>();
    for (const { ltime, name, text } of arrivals) {
      parts.userEvents.arrived(event(ltime, name, text), 0);
      expected.add(`user: ${name}@${ltime}=${text}`);
    }
    assert.deepEqual(parts.takeEvents(), [...expected]);
  }));
});
