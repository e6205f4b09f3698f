import assert from "node:assert/strict";
import {
  type AgentSignal,
  awaitEnd,
  EchoFilter,
  type EndingAgent,
  type EndOptions,
  ignoredSignalsOf,
  type SignalSource,
  signalTableOf,
} from "../../lib/agent/signals.ts";

/** Short, and still far above what a leave that works takes here. */
const LIMIT_MS = 200;

/** Signals that come when the one before was taken. */
function signalsOf(...signals: AgentSignal[]): SignalSource {
  return {
    next() {
      const signal = signals.shift();
      return signal === undefined
        ? new Promise(() => {})
        : Promise.resolve(signal);
    },
  };
}

function agentThat(leaves: "leaves" | "hangs" | "fails"): EndingAgent {
  return {
    down: new Promise(() => {}),
    leaveCluster() {
      if (leaves === "leaves") return Promise.resolve();
      if (leaves === "hangs") return new Promise(() => {});
      return Promise.reject(new Error("Leave already in progress"));
    },
  };
}

async function end(
  agent: EndingAgent,
  signals: SignalSource,
  options: Partial<EndOptions> = {},
): Promise<[number, string[]]> {
  const said: string[] = [];
  const code = await awaitEnd(agent, signals, {
    say: (message) => said.push(message),
    leavesOn: (signal) => signal === "interrupt",
    reload: () => {
      said.push("reloads");
      return Promise.resolve();
    },
    gracefulLimitMs: LIMIT_MS,
    ...options,
  });
  return [code, said];
}

const LEAVING = [
  "Caught signal: interrupt",
  "Gracefully shutting down agent...",
];

Deno.test("awaitEnd() leaves the cluster on SIGINT", async () => {
  assert.deepEqual(await end(agentThat("leaves"), signalsOf("interrupt")), [
    0,
    LEAVING,
  ]);
});

Deno.test("awaitEnd() stops at once on SIGTERM", async () => {
  assert.deepEqual(await end(agentThat("leaves"), signalsOf("terminated")), [
    1,
    ["Caught signal: terminated"],
  ]);
});

Deno.test("awaitEnd() cuts a leave off on any further signal", async () => {
  for (const second of ["interrupt", "terminated", "hangup"] as const) {
    assert.deepEqual(
      await end(agentThat("hangs"), signalsOf("interrupt", second)),
      [1, LEAVING],
      second,
    );
  }
});

Deno.test("EchoFilter takes two SIGINTs within half a second for one", () => {
  const filter = new EchoFilter();
  const signals: readonly (readonly [AgentSignal, number, boolean])[] = [
    ["interrupt", 0, false],
    ["hangup", 1, false],
    ["terminated", 2, false],
    ["interrupt", 499, true],
    ["hangup", 500, false],
    // Half a second after the first, not after its echo.
    ["interrupt", 500, false],
    ["interrupt", 999, true],
    ["interrupt", 1_000, false],
  ];
  for (const [signal, atMs, isEcho] of signals) {
    assert.equal(filter.isEcho(signal, atMs), isEcho, `${signal} ${atMs}`);
  }
});

Deno.test("awaitEnd() reloads on each SIGHUP and goes on", async () => {
  const [code, said] = await end(
    agentThat("leaves"),
    signalsOf("hangup", "hangup", "terminated"),
  );
  assert.equal(code, 1);
  assert.deepEqual(said, [
    "Caught signal: hangup",
    "reloads",
    "Caught signal: hangup",
    "reloads",
    "Caught signal: terminated",
  ]);
});

Deno.test("awaitEnd() leaves on the signals that the settings name", async () => {
  const agent = agentThat("leaves");
  assert.deepEqual(
    await end(agent, signalsOf("terminated"), { leavesOn: () => true }),
    [0, ["Caught signal: terminated", "Gracefully shutting down agent..."]],
  );
  assert.deepEqual(
    await end(agent, signalsOf("interrupt"), { leavesOn: () => false }),
    [1, ["Caught signal: interrupt"]],
  );
});

Deno.test("awaitEnd() asks what a signal means when it comes, after reloads", async () => {
  let leaves = false;
  const [code] = await end(
    agentThat("leaves"),
    signalsOf("hangup", "terminated"),
    {
      leavesOn: () => leaves,
      reload: () => {
        leaves = true;
        return Promise.resolve();
      },
    },
  );
  assert.equal(code, 0);
});

Deno.test("awaitEnd() ends though a reload hangs", async () => {
  for (
    const [signal, outcome] of [
      ["terminated", [1, [
        "Caught signal: hangup",
        "Caught signal: terminated",
      ]]],
      ["interrupt", [0, ["Caught signal: hangup", ...LEAVING]]],
    ] as const
  ) {
    assert.deepEqual(
      await end(agentThat("leaves"), signalsOf("hangup", signal), {
        reload: () => new Promise(() => {}),
      }),
      outcome,
    );
  }
});

Deno.test("awaitEnd() reloads once more for all SIGHUPs during a reload", async () => {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const signals: AgentSignal[] = ["hangup", "hangup", "hangup", "hangup"];
  const [code] = await end(agentThat("leaves"), {
    next() {
      const signal = signals.shift();
      if (signal !== undefined) return Promise.resolve(signal);
      gate.resolve();
      return Promise.resolve("terminated");
    },
  }, {
    async reload() {
      begun++;
      await gate.promise;
    },
  });
  assert.deepEqual([code, begun], [1, 2]);
});

Deno.test("awaitEnd() fails with what a reload throws", async () => {
  await assert.rejects(
    end(agentThat("leaves"), signalsOf("hangup"), {
      reload: () => Promise.reject(new Error("our mistake")),
    }),
    /our mistake/,
  );
});

Deno.test("awaitEnd() ends with 1 when the agent gave up", async () => {
  assert.deepEqual(
    await end(agentThat("leaves"), signalsOf(), { gaveUp: Promise.resolve() }),
    [1, []],
  );
});

Deno.test("awaitEnd() ends with 0 when the agent was told to go down, with 1 when it had to", async () => {
  for (const [reason, code] of [["shutdown", 0], ["nameLost", 1]] as const) {
    const agent = { ...agentThat("hangs"), down: Promise.resolve(reason) };
    assert.deepEqual(await end(agent, signalsOf()), [code, []]);
  }
});

Deno.test("awaitEnd() reports a failed leave and waits out the limit", async () => {
  const startMs = performance.now();
  assert.deepEqual(await end(agentThat("fails"), signalsOf("interrupt")), [
    1,
    [...LEAVING, "Error: Leave already in progress"],
  ]);
  assert.ok(performance.now() - startMs >= LIMIT_MS - 5);
});

/** Prints the signals that it gets; a process of its own, since all of one hear them. */
const LISTENER = `
  import { ignoreSignals, ProcessSignals } from ${
  JSON.stringify(new URL("../../lib/agent/signals.ts", import.meta.url).href)
};
  using _ignored = ignoreSignals();
  const signals = new ProcessSignals();
  // Listening for signals alone does not keep a process running.
  setInterval(() => {}, 1_000);
  console.log("ready");
  console.log(await signals.next());
  console.log(await signals.next());
  signals.close();
  console.log("closed");
`;

Deno.test({
  name: "ProcessSignals replaces the effect of signals until it is closed",
  ignore: Deno.build.os === "windows",
  async fn() {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "-A",
        `data:text/typescript,${encodeURIComponent(LISTENER)}`,
      ],
      stdout: "piped",
    }).spawn();
    const answers: Record<string, readonly Deno.Signal[]> = {
      ready: [...ignoredSignalsOf(Deno.build.os), "SIGHUP"],
      hangup: ["SIGINT"],
      closed: ["SIGTERM"],
    };
    const heard: string[] = [];
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      for (const line of text.trim().split("\n")) {
        heard.push(line);
        for (const answer of answers[line] ?? []) child.kill(answer);
      }
    }
    assert.deepEqual(heard, ["ready", "hangup", "interrupt", "closed"]);
    assert.equal((await child.status).signal, "SIGTERM");
  },
});

Deno.test("signalTableOf() never takes a closed window for a wish to reload", () => {
  assert.equal(new Map(signalTableOf("linux")).get("SIGHUP"), "hangup");
  const onWindows = new Map(signalTableOf("windows"));
  assert.equal(onWindows.get("SIGHUP"), "terminated");
  assert.equal(onWindows.get("SIGBREAK"), "interrupt");
});
