/**
 * Queries over 1,000 nodes on a network that loses a tenth of all packets.
 *
 * Goal: everybody gets each query, and as many acks and answers come back as
 * chance allows; with a relay factor of 3 nearly all. Method: four members ask
 * without relays, four others with three, each with the default timeout (12.8 s);
 * everybody acks and answers at once. It takes some 30 s, half of it until the
 * cluster has formed.
 *
 * What to expect:
 *
 * - *Getting the query.* Each member sends it on 16 times (4 * ceil(log10(1001))),
 *   so that each other one is sent about 16 copies, of which 0.9 arrive: 14.4. To
 *   be missed by all of them has a chance of e^-14.4, or 6e-7, which makes 0.005
 *   members of the 8 * 999 that are asked. One is allowed for.
 * - *No relays.* An ack is one datagram, and so is an answer: 0.9 of them arrive.
 * - *Three relays.* The direct copy is lost with a chance of 0.1; one through a
 *   relay takes two ways, and is lost with 1 - 0.9² = 0.19. All are lost with
 *   0.1 * 0.19³ = 0.000686, so 0.99931 of the acks and answers arrive.
 *
 * The number that arrives is binomial, so it may be off by 5 standard deviations,
 * 5 * sqrt(n p (1 - p)): of 3,996 acks 95 in the first case and 8 in the second.
 */

import assert from "node:assert/strict";
import { SerfEngine } from "../../lib/serf/engine.ts";
import type { Output } from "../../lib/serf/event.ts";
import {
  missChance,
  queryStory,
  type QueryTally,
} from "../../lib/sim/query_story.ts";

const REPLAY = "replay: deno task sim --story queries";

function share(count: number, of: number): string {
  return `${(100 * count / of).toFixed(2)} %`;
}

/** Whether a count of replies lies within five deviations of what chance allows. */
function assertArrived(count: number, tally: QueryTally, chance: number): void {
  const { received, relayFactor } = tally;
  const expected = received * chance;
  const slack = 5 * Math.sqrt(received * chance * (1 - chance));
  assert.ok(
    Math.abs(count - expected) <= slack,
    `${count} of ${received} with ${relayFactor} relays, expected ` +
      `${expected.toFixed(1)} ± ${slack.toFixed(1)}; ${REPLAY}`,
  );
}

Deno.test("1000 nodes, 10 % loss: queries reach all, and three relays save nearly every answer", () => {
  const report = queryStory({
    seed: 1,
    nodes: 1_000,
    loss: 0.1,
    relayFactors: [0, 3],
    queries: 4,
  });
  assert.deepEqual(report.violations, [], REPLAY);
  assert.ok(report.faults.loss > 10_000, `${report.faults.loss} lost`);
  const chances = [0.9, 0.999314];
  for (const [i, tally] of report.tallies.entries()) {
    const { relayFactor, asked, received, acks, answers, duplicates } = tally;
    console.log(
      `${relayFactor} relays: ${share(received, asked)} got the query, ` +
        `${share(acks, received)} of the acks and ` +
        `${share(answers, received)} of the answers arrived`,
    );
    assert.equal(asked, 4 * 999);
    assert.ok(asked - received <= 1, `${received} of ${asked} got it`);
    assertArrived(acks, tally, chances[i] as number);
    assertArrived(answers, tally, chances[i] as number);
    assert.equal(duplicates, 0);
  }
});

Deno.test("missChance() is the chance that all copies are lost", () => {
  assert.equal(missChance(0, 3), 0);
  assert.equal(missChance(0.1, 0), 0.1);
  assert.ok(Math.abs(missChance(0.1, 3) - 0.1 * 0.19 ** 3) < 1e-12);
  assert.equal(missChance(1, 3), 1);
});

Deno.test("queryStory() notices relays that do not work, and members that are not told", () => {
  const options = {
    seed: 1,
    nodes: 60,
    loss: 0.1,
    relayFactors: [3],
    queries: 4,
  };
  assert.deepEqual(queryStory(options).violations, []);
  const withoutRelays = queryStory({
    ...options,
    makeEngine: (config, seeds) => new RelaylessEngine(config, seeds),
  });
  assert.match(
    withoutRelays.violations.map(({ text }) => text).join(),
    /acks of 236 with 3 relays, expected 235/,
  );
  const silent = queryStory({
    ...options,
    makeEngine: (config, seeds) =>
      config.swim.name === "n07"
        ? new SilentEngine(config, seeds)
        : new SerfEngine(config, seeds),
  });
  assert.match(
    silent.violations.map(({ text }) => text).join(),
    /only 232 of 236 members got the query/,
  );
});

/** Tells its application of no query. */
class SilentEngine extends SerfEngine {
  override drain(): Output[] {
    return super.drain().filter((output) =>
      output.kind !== "event" || output.event.type !== "query"
    );
  }
}

/** Forgets that answers were to be relayed. */
class RelaylessEngine extends SerfEngine {
  override query(...[params, nowMs]: Parameters<SerfEngine["query"]>): number {
    return super.query({ ...params, relayFactor: 0 }, nowMs);
  }
}
