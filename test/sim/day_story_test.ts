/**
 * Fifty hours of a small cluster in virtual time.
 *
 * Goal: what the clock decides happens when it should, hours after its cause: the
 * reaping of failed and left members, the tries to reconnect, the end of what is
 * remembered of intents; and afterwards everything is as small as at first.
 * Method: see `lib/sim/day_story.ts`, which judges most of it. The whole run
 * takes some 20 s; mistakes are planted in short ones, with days of 24 minutes.
 */

import assert from "node:assert/strict";
import type { Coordinate } from "../../lib/coordinate/coordinate.ts";
import type { SerfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { dayStory } from "../../lib/sim/day_story.ts";

const MINUTE_MS = 60_000;

/** Days of 24 minutes; left members are forgotten a little before failed ones. */
const SHORT_DAYS = {
  reconnectTimeoutMs: 24 * MINUTE_MS,
  tombstoneTimeoutMs: 23.5 * MINUTE_MS,
  reapIntervalMs: 1_000,
  reconnectIntervalMs: 2_000,
  recentIntentTimeoutMs: 5_000,
};

/** Who reaps whom in the story: those who are there from before until after. */
const REAPS = [
  "n0 n1, n0 n2, n0 n4, n0 n5",
  "n5 n1",
  "n6 n1, n6 n2, n6 n4, n6 n5",
  "n7 n1, n7 n2, n7 n4, n7 n5",
  "n8 n4, n8 n5",
  "n9 n4, n9 n5",
].join(", ");

Deno.test("50 hours: members are tried, found, reaped and forgotten by the clock", () => {
  const report = dayStory({ seed: 1 });
  assert.deepEqual(report.violations, [], "replay: deno task sim --story day");
  assert.ok(report.virtualMs > 50 * 60 * MINUTE_MS);
  const reaps = report.reaps.map(({ observer, subject }) =>
    `${observer} ${subject}`
  );
  assert.equal(reaps.sort().join(", "), REAPS);
  for (const { afterMs, timeoutMs } of report.reaps) {
    assert.equal(timeoutMs, 24 * 60 * MINUTE_MS);
    assert.ok(afterMs > timeoutMs && afterMs <= timeoutMs + 15_000);
  }
  for (const { subject, made, expected } of report.tries) {
    console.log(`${subject}: ${made} tries, expected ${expected.toFixed(0)}`);
  }
  const { foundAfterMs = Number.NaN, findMs } = report;
  console.log(
    `n3 was found after ${foundAfterMs.toFixed(0)} ms, at most ${findMs} ms; ` +
      `${report.inputs} inputs`,
  );
  assert.ok(foundAfterMs <= findMs);
});

/** Violations of a run of short days in which all engines differ from what the story knows. */
function violationsOf(planted: Partial<SerfConfig>): string {
  const { violations } = dayStory({
    seed: 1,
    settings: SHORT_DAYS,
    makeEngine: (config, seeds) =>
      new SerfEngine({ ...config, ...planted }, seeds),
  });
  return violations.map(({ text }) => text).join("\n");
}

Deno.test("dayStory() has nothing to say of days of any length", () => {
  assert.equal(violationsOf({}), "");
});

Deno.test("dayStory() notices members that are reaped too early, too late, or never", () => {
  const early = { reconnectTimeoutMs: 23 * MINUTE_MS };
  assert.match(violationsOf(early), /reaps n1 after 1380\d{3}[.\d]* ms, not/);
  const late = { tombstoneTimeoutMs: 23.6 * MINUTE_MS };
  assert.match(violationsOf(late), /reaps n2 after 1416\d{3}[.\d]* ms, not/);
  const never = { tombstoneTimeoutMs: Number.MAX_VALUE };
  assert.match(violationsOf(never), /has not reaped n2 after/);
});

Deno.test("dayStory() notices members that are tried at another rate, or not at all", () => {
  const often = { reconnectIntervalMs: 1_500 };
  assert.match(violationsOf(often), /n1 is tried \d+ times, not 340/);
  const never = { reconnectIntervalMs: 0 };
  assert.match(violationsOf(never), /"n3 is found again" was not reached/);
});

Deno.test("dayStory() notices intents that are forgotten too early or too late", () => {
  const early = { recentIntentTimeoutMs: 2_000 };
  assert.match(violationsOf(early), /a leave intent is not remembered: alive/);
  const late = { recentIntentTimeoutMs: 60_000 };
  assert.match(violationsOf(late), /remembered too long: leaving/);
});

Deno.test("dayStory() notices what is kept of members that are gone", () => {
  const { violations } = dayStory({
    seed: 1,
    settings: SHORT_DAYS,
    makeEngine: (config, seeds) => new KeepingEngine(config, seeds),
  });
  const texts = violations.map(({ text }) => text);
  assert.match(texts.join("\n"), /^coordinates went from 64 to \d\d$/);
});

/** Never forgets a coordinate that it was asked for. */
class KeepingEngine extends SerfEngine {
  readonly #kept = new Map<string, Coordinate>();

  override coordinate(name: string): Coordinate | undefined {
    return this.#kept.get(name) ?? super.coordinate(name);
  }

  override handleTimeout(nowMs: number): void {
    super.handleTimeout(nowMs);
    for (const { name } of this.members()) {
      const coordinate = super.coordinate(name);
      if (coordinate !== undefined) this.#kept.set(name, coordinate);
    }
  }
}
