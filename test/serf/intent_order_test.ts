/**
 * In which order intents and notifications arrive, and when that matters.
 *
 * Gossip brings them to every member in another order. For a member that is up it
 * does not matter: intents with different times commute with each other and with
 * the news that the member is there, and the newest of them wins. Repetitions
 * change nothing.
 *
 * For a member that is gone there is no such rule, and there cannot be one: a
 * leave intent turns *failed* into *left* for good, while a join intent never
 * brings anybody back. So of "left at 5, joined at 7" one who hears the leave
 * first lists the member as left, and one who hears the join first, for whom the
 * leave is old news, as failed. What does hold is one-sided: once it is gone, a
 * member whose newest intent is a leave has left for everybody, and one of which
 * nobody said that it leaves has failed for everybody. Status times always agree,
 * and that is what ends the gossip. The next exchange of state ends the
 * disagreement: who is on a left list has left at a time after its status time.
 *
 * Time 0 is left out: it is that of a member without any intent, so that one who
 * knows the member ignores it, and one who does not, remembers it. Clocks start
 * at 1.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { nodeOf, Parts, SELF } from "./parts.ts";

type Step =
  | { readonly do: "joined" | "gone" }
  | { readonly do: "joins" | "leaves"; readonly ltime: bigint };

const NAME = "a";
const LTIME_MAX = 2n ** 64n - 2n;

/** Where a member stands, and what is known of the time. */
interface Outcome {
  readonly status: string | undefined;
  readonly statusLTime: bigint | undefined;
  readonly clock: bigint;
}

/** Lets things happen to one member, one a second. */
function partsAfter(steps: readonly Step[]): Parts {
  const parts = new Parts();
  const { roster } = parts;
  roster.joined(nodeOf(SELF), 0);
  for (const [i, step] of steps.entries()) {
    const nowMs = 1_000 * i;
    switch (step.do) {
      case "joined":
        roster.joined(nodeOf(NAME), nowMs);
        break;
      case "gone":
        roster.gone(NAME, nowMs);
        break;
      case "joins":
        roster.joinIntent(NAME, step.ltime, nowMs);
        break;
      case "leaves": {
        const { ltime } = step;
        roster.leaveIntent({ node: NAME, ltime, prune: false }, nowMs);
        break;
      }
    }
  }
  return parts;
}

function play(steps: readonly Step[]): Outcome {
  const { roster, core } = partsAfter(steps);
  return {
    status: roster.member(NAME)?.status,
    statusLTime: roster.statusLTime(NAME),
    clock: core.clock.time,
  };
}

type Intent = Extract<Step, { ltime: bigint }>;

const ltimes = fc.oneof(
  fc.bigInt({ min: 1n, max: 12n }),
  fc.bigInt({ min: 1n, max: LTIME_MAX }),
);
/** Intents with different times. */
const intentLists: fc.Arbitrary<Intent[]> = fc.uniqueArray(
  fc.record({
    do: fc.constantFrom("joins" as const, "leaves" as const),
    ltime: ltimes,
  }),
  { selector: ({ ltime }) => ltime, maxLength: 8 },
);

/** Steps in another order, some of them more than once. */
function shuffled<T>(steps: readonly T[]): fc.Arbitrary<T[]> {
  return fc.subarray([...steps]).chain((again) => {
    const all = [...steps, ...again];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });
}

function newestOf(intents: readonly Intent[]): Intent | undefined {
  return intents.toSorted((a, b) => a.ltime < b.ltime ? 1 : -1)[0];
}

const RUNS = { numRuns: 1_000 };

/** Intents, an order of them, and two places in it, the first one first. */
const cases = intentLists.chain((intents) =>
  shuffled(intents).map((order) => ({
    intents,
    order,
  }))
).chain(({ intents, order }) =>
  fc.record({
    intents: fc.constant(intents),
    order: fc.constant(order),
    places: fc.tuple(fc.nat(order.length), fc.nat(order.length))
      .map(([a, b]) => a < b ? [a, b] as const : [b, a] as const),
  })
);

Deno.test("Roster: the newest intent about a member that is up wins, in any order", () => {
  fc.assert(
    fc.property(cases, ({ intents, order, places: [place] }) => {
      const newest = newestOf(intents);
      const steps: Step[] = [...order];
      steps.splice(place, 0, { do: "joined" });
      assert.deepEqual(play(steps), {
        status: newest?.do === "leaves" ? "leaving" : "alive",
        statusLTime: newest?.ltime ?? 0n,
        clock: (newest?.ltime ?? 0n) + 1n,
      });
    }),
    RUNS,
  );
});

Deno.test("Roster: a member that is gone has left if its newest intent is a leave, and failed if there is none", () => {
  fc.assert(
    fc.property(cases, ({ intents, order, places: [up, gone] }) => {
      const newest = newestOf(intents);
      const steps: Step[] = [...order];
      steps.splice(gone, 0, { do: "gone" });
      steps.splice(up, 0, { do: "joined" });
      const { status, statusLTime, clock } = play(steps);
      assert.equal(statusLTime, newest?.ltime ?? 0n);
      assert.equal(clock, (newest?.ltime ?? 0n) + 1n);
      if (newest?.do === "leaves") assert.equal(status, "left");
      else if (intents.every((intent) => intent.do === "joins")) {
        assert.equal(status, "failed");
      } else assert.ok(status === "left" || status === "failed", status);
    }),
    RUNS,
  );
});

Deno.test("Roster: for a member that is gone, the order of a leave and a newer join matters", () => {
  const gone: Step[] = [{ do: "joined" }, { do: "gone" }];
  const leaves: Step = { do: "leaves", ltime: 5n };
  const joins: Step = { do: "joins", ltime: 7n };
  const one = play([...gone, leaves, joins]);
  const other = play([...gone, joins, leaves]);
  assert.equal(one.status, "left");
  assert.equal(other.status, "failed");
  assert.equal(one.statusLTime, other.statusLTime);
  // It is the same whether it was gone before the intents or between them.
  assert.equal(
    play([{ do: "joined" }, leaves, { do: "gone" }, joins]).status,
    "left",
  );
  assert.equal(
    play([{ do: "joined" }, leaves, joins, { do: "gone" }]).status,
    "failed",
  );
});

Deno.test("Roster: an exchange of state makes two agree about a member that is gone", () => {
  const both = cases.chain((one) =>
    fc.tuple(fc.constant(one), shuffled(one.intents))
  );
  const seen = { agreed: 0, disagreed: 0 };
  fc.assert(
    fc.property(both, ([{ order, places: [up, gone] }, otherOrder]) => {
      const steps: Step[] = [...order];
      steps.splice(gone, 0, { do: "gone" });
      steps.splice(up, 0, { do: "joined" });
      const one = partsAfter(steps);
      const other = partsAfter([
        { do: "joined" },
        { do: "gone" },
        ...otherOrder,
      ]);
      const statusOf = ({ roster }: Parts) => roster.member(NAME)?.status;
      if (statusOf(one) === statusOf(other)) seen.agreed++;
      else seen.disagreed++;
      const hasLeft = [one, other].some((parts) => statusOf(parts) === "left");

      const nowMs = 100_000;
      const states = [one.pushPulls.localState(), other.pushPulls.localState()];
      one.pushPulls.merge(states[1] as Uint8Array, false, nowMs);
      other.pushPulls.merge(states[0] as Uint8Array, false, nowMs);
      for (const parts of [one, other]) {
        assert.equal(statusOf(parts), hasLeft ? "left" : "failed");
      }
    }),
    RUNS,
  );
  assert.ok(seen.disagreed > 20, JSON.stringify(seen));
});
