import assert from "node:assert/strict";
import {
  retryJoin,
  type RetryJoinOptions,
} from "../../lib/agent/retry_join.ts";

const NOBODY = "1 error occurred:\n\t* nobody\n\n";

/** An agent whose joins end as told, and what it logged. */
class FakeAgent {
  readonly lines: string[] = [];
  readonly pauses: number[] = [];
  readonly #outcomes: (number | undefined)[];
  readonly #abort = new AbortController();

  /** @param outcomes addresses contacted by each join; `undefined` for an error */
  constructor(...outcomes: (number | undefined)[]) {
    this.#outcomes = outcomes;
  }

  join(addresses: readonly string[], replay: boolean): Promise<number> {
    this.lines.push(`join ${addresses.join(" ")} ${replay}`);
    const outcome = this.#outcomes.shift();
    return outcome === undefined
      ? Promise.reject(new Error(NOBODY))
      : Promise.resolve(outcome);
  }

  log(level: string, text: string): void {
    this.lines.push(`[${level}] ${text}`);
  }

  run(
    options: Partial<RetryJoinOptions> = {},
    onPause: (abort: () => void) => void = () => {},
  ): Promise<string> {
    return retryJoin(this, {
      addresses: ["a", "b"],
      replay: false,
      intervalMs: 30_000,
      attemptsMax: 0,
      signal: this.#abort.signal,
      pause: (ms) => {
        this.pauses.push(ms);
        onPause(() => this.#abort.abort());
        return Promise.resolve(true);
      },
      ...options,
    });
  }
}

const TRIES = [
  "[INFO] agent: Joining cluster...(replay: false)",
  "join a b false",
];
const FAILS = [
  ...TRIES,
  `[WARN] agent: Join failed: ${NOBODY}, retrying in 30s`,
];

Deno.test("retryJoin() tries until somebody answers, and logs what Serf logs", async () => {
  const agent = new FakeAgent(undefined, undefined, 1);
  assert.equal(await agent.run(), "joined");
  assert.deepEqual(agent.lines, [
    ...FAILS,
    ...FAILS,
    ...TRIES,
    "[INFO] agent: Join completed. Synced with 1 initial agents",
  ]);
  assert.deepEqual(agent.pauses, [30_000, 30_000]);
});

Deno.test("retryJoin() gives up after one try more than there are retries", async () => {
  for (const attemptsMax of [1, 3]) {
    const agent = new FakeAgent();
    assert.equal(await agent.run({ attemptsMax }), "gaveUp");
    assert.equal(agent.pauses.length, attemptsMax);
    assert.equal(
      agent.lines.at(-1),
      "[ERR] agent: maximum retry join attempts made, exiting",
    );
  }
});

Deno.test("retryJoin() goes on for ever without a limit, until it is stopped", async () => {
  for (const attemptsMax of [0, -1]) {
    const agent = new FakeAgent();
    const outcome = await agent.run({ attemptsMax }, (abort) => {
      if (agent.pauses.length === 50) abort();
    });
    assert.equal(outcome, "stopped");
    assert.equal(agent.pauses.length, 50);
  }
});

Deno.test("retryJoin() has nothing to do without addresses", async () => {
  const agent = new FakeAgent();
  assert.equal(await agent.run({ addresses: [] }), "joined");
  assert.deepEqual(agent.lines, []);
});

Deno.test("retryJoin() replays if it is told to", async () => {
  const agent = new FakeAgent(2);
  await agent.run({ replay: true });
  assert.deepEqual(agent.lines.slice(0, 2), [
    "[INFO] agent: Joining cluster...(replay: true)",
    "join a b true",
  ]);
});
