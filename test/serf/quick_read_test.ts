/**
 * The quick reader against the full decoder: whenever it gives an answer, the
 * decoder gives the same; and it gives one for everything our encoder writes.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { quickEventLTime, quickIntent } from "../../lib/serf/quick_read.ts";
import {
  decodeSerfMessage,
  encodeSerfMessage,
  type SerfMessage,
} from "../../lib/wire/serf_messages.ts";

const ltime = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0x7fn, 0x80n, 0xffffn, 0x1_0000n, 2n ** 32n, 2n ** 64n - 1n),
);
const name = fc.string({ maxLength: 40, unit: "binary" });

const message: fc.Arbitrary<SerfMessage> = fc.oneof(
  fc.record({ kind: fc.constant("join" as const), ltime, node: name }),
  fc.record({
    kind: fc.constant("leave" as const),
    ltime,
    node: name,
    prune: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("userEvent" as const),
    ltime,
    name,
    payload: fc.uint8Array({ maxLength: 40 }),
    coalesce: fc.boolean(),
  }),
);

function decoded(body: Uint8Array): SerfMessage | undefined {
  try {
    return decodeSerfMessage(body);
  } catch {
    return undefined;
  }
}

Deno.test("quickIntent() and quickEventLTime() read what encoders write", () => {
  fc.assert(fc.property(message, (message) => {
    const body = encodeSerfMessage(message);
    if (message.kind === "userEvent") {
      assert.equal(quickEventLTime(body), message.ltime);
      assert.equal(quickIntent(body), undefined);
    } else {
      assert.deepEqual(quickIntent(body), decodeSerfMessage(body));
      assert.equal(quickEventLTime(body), undefined);
    }
  }));
});

Deno.test("quickIntent() leaves other forms to the decoder", () => {
  const body = encodeSerfMessage({ kind: "join", ltime: 7n, node: "ab" });
  // The same join as a map with its keys the other way round.
  const swapped = Uint8Array.of(
    ...[1, 0x82],
    ...body.subarray(9),
    ...body.subarray(2, 9),
  );
  assert.deepEqual(decoded(swapped), decoded(body));
  assert.equal(quickIntent(swapped), undefined);
});

Deno.test("quickIntent() never says other than the decoder", () => {
  const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) });
  const options = { numRuns: 2_000 };
  let answers = 0;
  fc.assert(
    fc.property(message, fc.array(change, { maxLength: 3 }), fc.nat(), (
      message,
      changes,
      cut,
    ) => {
      const whole = encodeSerfMessage(message);
      for (const { at, byte } of changes) whole[at % whole.length] = byte;
      const body = cut % 3 === 0
        ? whole.subarray(0, cut % whole.length)
        : whole;
      const quick = quickIntent(body);
      if (quick !== undefined) {
        answers++;
        assert.deepEqual(quick, decoded(body));
      }
      const quickLTime = quickEventLTime(body);
      const full = decoded(body);
      if (quickLTime !== undefined && full?.kind === "userEvent") {
        assert.equal(quickLTime, full.ltime);
      }
    }),
    options,
  );
  assert(answers > 100, `only ${answers} answers were compared`);
});
