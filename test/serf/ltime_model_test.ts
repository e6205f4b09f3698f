/**
 * Clocks, user events and queries against a slow, obvious model.
 *
 * Goal: for any sequence of own and foreign messages, with any times of 64 bits
 * (those at which a clock wraps among them) and rings of any size, the engine's
 * mechanisms accept the same messages as the model and show the same clocks.
 * Method: the model below follows the reference to the letter: one number per
 * clock, one list of slots, each with the one time that it holds and everything
 * seen with it. It has two rules more than the reference: when a clock wraps, what
 * is known begins anew; and an exchange of state brings no time that is too far
 * ahead, unless it was asked for.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { LamportClock } from "../../lib/serf/lamport.ts";
import { encodePushPull } from "../../lib/wire/serf_messages.ts";
import { Parts } from "./parts.ts";
import { query } from "./queries.ts";

const TIMES = 2n ** 64n;

/** A clock as the reference has it. */
class ModelClock {
  time = 0n;
  onWrap: () => void = () => {};
  increment(): void {
    this.time = (this.time + 1n) % TIMES;
    if (this.time === 0n) this.onWrap();
  }
  witness(seen: bigint): void {
    if (seen < this.time) return;
    this.time = (seen + 1n) % TIMES;
    if (this.time === 0n) this.onWrap();
  }
  isFarAhead(ltime: bigint): boolean {
    return ltime >= 2n ** 63n && ltime - this.time > 2n ** 32n;
  }
}

/** What is known of the recent past, as the reference has it. */
class ModelPast {
  readonly clock = new ModelClock();
  minTime = 0n;
  readonly #slots: { ltime: bigint; items: string[] }[];

  constructor(slots: number) {
    this.#slots = Array.from({ length: slots }, () => ({
      ltime: -1n,
      items: [],
    }));
    this.clock.increment();
    this.clock.onWrap = () => {
      this.minTime = 0n;
      for (const slot of this.#slots) slot.ltime = -1n;
    };
  }

  /** @returns whether a message with that time and content is new */
  arrived(ltime: bigint, content: string): boolean {
    this.clock.witness(ltime);
    if (ltime < this.minTime) return false;
    const window = BigInt(this.#slots.length);
    const { time } = this.clock;
    if (time > window && ltime < time - window) return false;
    const place = Number(ltime % window);
    const slot = this.#slots[place];
    if (slot?.ltime !== ltime) {
      this.#slots[place] = { ltime, items: [content] };
      return true;
    }
    if (slot.items.includes(content)) return false;
    slot.items.push(content);
    return true;
  }
}

/** Times that meet each other often, times about to wrap, and any at all. */
const ltimes = fc.oneof(
  { arbitrary: fc.bigInt({ min: 0n, max: 24n }), weight: 8 },
  { arbitrary: fc.bigInt({ min: TIMES - 12n, max: TIMES - 1n }), weight: 1 },
  { arbitrary: fc.bigInt({ min: 0n, max: TIMES - 1n }), weight: 1 },
);
const ringSizes = fc.integer({ min: 1, max: 9 });
/** Enough runs for sequences in which a clock wraps and goes on. */
const RUNS = { numRuns: 500 };

Deno.test("LamportClock is the clock of the model, whatever the times", () => {
  const step = fc.option(ltimes, { nil: undefined });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new LamportClock();
      const model = new ModelClock();
      for (const witnessed of steps) {
        for (const one of [clock, model]) {
          if (witnessed === undefined) one.increment();
          else one.witness(witnessed);
        }
        assert.equal(clock.time, model.time);
      }
    }),
    RUNS,
  );
});

Deno.test("UserEvents accepts what the model accepts, whatever the times", () => {
  const content = fc.record({
    name: fc.constantFrom("a", "b"),
    text: fc.constantFrom("", "x"),
  });
  const step = fc.oneof(
    {
      arbitrary: fc.record({
        do: fc.constant("arrive" as const),
        ltime: ltimes,
        content,
      }),
      weight: 8,
    },
    {
      arbitrary: fc.record({ do: fc.constant("send" as const), content }),
      weight: 4,
    },
    {
      arbitrary: fc.record({
        do: fc.constant("ignore" as const),
        ltime: fc.bigInt({ min: 0n, max: 24n }),
      }),
      weight: 1,
    },
  );
  const steps = fc.array(step, { maxLength: 60 });
  fc.assert(
    fc.property(ringSizes, steps, (eventBuffer, steps) => {
      const parts = new Parts({ eventBuffer });
      const { userEvents, core } = parts;
      const model = new ModelPast(eventBuffer);
      for (const step of steps) {
        if (step.do === "ignore") {
          userEvents.ignoreBefore(step.ltime);
          if (step.ltime > model.minTime) model.minTime = step.ltime;
          continue;
        }
        const { name, text } = step.content;
        const payload = utf8Bytes(text);
        const ltime = step.do === "send" ? model.clock.time : step.ltime;
        if (step.do === "send") {
          userEvents.send({ name, payload, coalesce: false }, 0);
          model.clock.increment();
        }
        const isNew = model.arrived(ltime, `${name} ${text}`);
        if (step.do === "arrive") {
          const event = { ltime, name, payload, coalesce: false };
          assert.equal(userEvents.arrived(event, 0), isNew);
        }
        const expected = isNew ? [`user: ${name}@${ltime}=${text}`] : [];
        assert.equal(core.eventClock.time, model.clock.time);
        assert.deepEqual(parts.takeEvents(), expected);
      }
    }),
    RUNS,
  );
});

Deno.test("UserEvents delivers nothing twice as long as its clock does not wrap", () => {
  const arrival = fc.record({
    ltime: fc.oneof(
      fc.bigInt({ min: 0n, max: 24n }),
      fc.bigInt({ min: 0n, max: TIMES - 2n }),
    ),
    name: fc.constantFrom("a", "b"),
  });
  fc.assert(
    fc.property(ringSizes, fc.array(arrival), (eventBuffer, arrivals) => {
      const parts = new Parts({ eventBuffer });
      for (const { ltime, name } of arrivals) {
        const payload = utf8Bytes("");
        parts.userEvents.arrived({ ltime, name, payload, coalesce: true }, 0);
      }
      const events = parts.takeEvents();
      assert.equal(new Set(events).size, events.length);
    }),
    RUNS,
  );
});

Deno.test("ArrivedQueries accepts what the model accepts, whatever the times", () => {
  const step = fc.option(
    fc.record({ ltime: ltimes, id: fc.nat(2) }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(
      ringSizes,
      fc.array(step, { maxLength: 60 }),
      (queryBuffer, steps) => {
        const parts = new Parts({ queryBuffer });
        const { queries, core } = parts;
        const model = new ModelPast(queryBuffer);
        const running = new Set<bigint>();
        for (const [i, step] of steps.entries()) {
          let isNew: boolean;
          if (step === undefined) {
            // Ours takes the next time that none of ours that runs has.
            while (running.has(model.clock.time)) model.clock.increment();
            const { time } = model.clock;
            running.add(time);
            // Its number is random, so that nobody else has it.
            isNew = model.arrived(time, `own ${i}`);
            queries.ask({ name: "q" }, 0);
          } else {
            const { ltime, id } = step;
            isNew = model.arrived(ltime, `${id}`);
            assert.equal(queries.arrived(query(ltime, id), 0), isNew);
          }
          assert.equal(core.queryClock.time, model.clock.time);
          assert.equal(parts.takeEvents().length, isNew ? 1 : 0);
        }
      },
    ),
    RUNS,
  );
});

Deno.test("a push/pull moves the clocks of the model, and replays what is new to it", () => {
  const group = fc.record({
    ltime: ltimes,
    names: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { maxLength: 3 }),
  });
  const exchange = fc.record({
    ltime: ltimes,
    eventLTime: ltimes,
    queryLTime: ltimes,
    groups: fc.array(fc.option(group, { nil: undefined }), { maxLength: 6 }),
    ignoreOld: fc.boolean(),
    isReply: fc.boolean(),
  });
  fc.assert(
    fc.property(
      ringSizes,
      fc.array(exchange, { maxLength: 8 }),
      (eventBuffer, exchanges) => {
        const parts = new Parts({ eventBuffer });
        const past = new ModelPast(eventBuffer);
        const members = new ModelPast(1);
        const queries = new ModelPast(1);
        for (const exchange of exchanges) {
          const { ltime, eventLTime, queryLTime, groups } = exchange;
          const { ignoreOld, isReply } = exchange;
          const body = encodePushPull({
            ltime,
            eventLTime,
            queryLTime,
            statusLTimes: new Map(),
            leftMembers: [],
            events: groups.map((group) =>
              group && {
                ltime: group.ltime,
                events: group.names.map((name) => ({
                  name,
                  payload: utf8Bytes("p"),
                })),
              }
            ),
          });
          parts.pushPulls.merge(body, ignoreOld, 0, isReply);
          // The other side has seen the time before the one that it shows.
          const shown = [
            [members.clock, ltime],
            [past.clock, eventLTime],
            [queries.clock, queryLTime],
          ] as const;
          for (const [clock, time] of shown) {
            const isBelieved = isReply || !clock.isFarAhead(time - 1n);
            if (time > 0n && isBelieved) clock.witness(time - 1n);
          }
          const isIgnored = ignoreOld && !past.clock.isFarAhead(eventLTime);
          if (isIgnored && eventLTime > past.minTime) past.minTime = eventLTime;
          const expected = groups.flatMap((group) =>
            (group?.names ?? []).flatMap((name) => {
              const ltime = group?.ltime as bigint;
              if (past.clock.isFarAhead(ltime)) return [];
              return past.arrived(ltime, name)
                ? [`user: ${name}@${ltime}=p`]
                : [];
            })
          );
          assert.deepEqual(parts.takeEvents(), expected);
          assert.equal(parts.core.clock.time, members.clock.time);
          assert.equal(parts.core.eventClock.time, past.clock.time);
          assert.equal(parts.core.queryClock.time, queries.clock.time);
        }
      },
    ),
    RUNS,
  );
});
