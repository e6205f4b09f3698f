/** Real scripts, run by the real shell. */

import assert from "node:assert/strict";
import {
  failureText,
  type Invocation,
  runScript,
  shellOf,
} from "../../lib/agent/invoke.ts";
import { Leftovers, OUTPUT_BYTES_MAX } from "../../lib/agent/script_output.ts";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { monotonicMs } from "../../lib/net/clock.ts";
import { until } from "../net/deadline.ts";
import { isAlive, PidFile } from "./processes.ts";

const isWindows = Deno.build.os === "windows";

function testUnix(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: isWindows, fn: body });
}

interface Ran {
  readonly output: string;
  readonly failure: string | undefined;
}

async function run(
  script: string,
  given: Partial<Invocation> = {},
): Promise<Ran> {
  const { end, output } = await runScript({
    script,
    env: {},
    input: new Uint8Array(0),
    ...given,
  });
  return { output: utf8Text(output), failure: failureText(end) };
}

const said = (output: string): Ran => ({ output, failure: undefined });

testUnix(
  "runScript() keeps stdout and stderr in the order of writing",
  async () => {
    const script =
      "for i in 1 2 3 4 5 6 7 8 9; do echo out$i; echo err$i >&2; done";
    const expected = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) =>
      `out${i}\nerr${i}\n`
    );
    assert.deepEqual(await run(script), said(expected.join("")));
  },
);

testUnix(
  "runScript() starts scripts also when the working directory is gone",
  async () => {
    const before = Deno.cwd();
    const folder = await Deno.makeTempDir();
    Deno.chdir(folder);
    try {
      await Deno.remove(folder);
      assert.deepEqual(await run("pwd"), said("/\n"));
    } finally {
      Deno.chdir(before);
    }
  },
);

testUnix(
  "runScript() gives the script the shell that the original gives it",
  async () => {
    const quoted = `echo "shell=$0 args=$#" 'it'"'"'s' \\$HOME`;
    assert.deepEqual(
      await run(quoted),
      said("shell=/bin/sh args=0 it's $HOME\n"),
    );
    // Line numbers in complaints are the script's own.
    const { output, failure } = await run("true\ntrue\n/no/such/thing");
    assert.match(output, /^\/bin\/sh: (line )?3: /);
    assert.equal(failure, "exit status 127");
    // The words of the process, as `ps` would show them, and its parent.
    const facts = await run(
      String.raw`tr '\0' '|' </proc/$$/cmdline; echo; echo $PPID; :`,
    );
    if (Deno.build.os === "linux") {
      assert.equal(
        facts.output,
        String
          .raw`/bin/sh|-c|tr '\0' '|' </proc/$$/cmdline; echo; echo $PPID; :|` +
          `\n${Deno.pid}\n`,
      );
    }
  },
);

testUnix("runScript() adds variables to the agent's own", async () => {
  const script = `printf '%s|' "$SERF_TAG_X" "$SERF_EVENT" "$HOME"`;
  const env = { SERF_TAG_X: "a\tb\nc ü='\"", SERF_EVENT: "user" };
  const home = Deno.env.get("HOME") ?? "";
  assert.deepEqual(
    await run(script, { env }),
    said(`a\tb\nc ü='"|user|${home}|`),
  );
});

testUnix(
  "runScript() passes the input on, whatever bytes are in it",
  async () => {
    const input = Uint8Array.from(
      { length: 1_000 },
      (_, index) => index & 0xff,
    );
    const { output } = await runScript({ script: "cat", env: {}, input });
    assert.deepEqual(output, input);
    assert.deepEqual(await run("cat"), said(""), "an empty input ends at once");
  },
);

testUnix(
  "runScript() takes no offence at a script that ignores 1 MB of input",
  async () => {
    const input = new Uint8Array(1 << 20);
    assert.deepEqual(await run("true", { input }), said(""));
    assert.deepEqual(await run("exec <&-; echo on", { input }), said("on\n"));
    assert.deepEqual(
      await run("head -c 3 | wc -c | tr -d ' '", { input }),
      said("3\n"),
    );
    assert.deepEqual(
      await run("wc -c | tr -d ' '", { input }),
      said(`${1 << 20}\n`),
    );
  },
);

testUnix(
  "runScript() tells how a script ended in the words of Go",
  async () => {
    const table: [string, string | undefined][] = [
      ["exit 0", undefined],
      ["exit 7", "exit status 7"],
      ["exit 137", "exit status 137"],
      ["/no/such/thing", "exit status 127"],
      ["kill -9 $$", "signal: killed"],
      ["kill -TERM $$", "signal: terminated"],
      ["kill -PIPE $$", "signal: broken pipe"],
      ["kill -USR1 $$", "signal: user defined signal 1"],
    ];
    for (const [script, expected] of table) {
      assert.equal((await run(script)).failure, expected, script);
    }
  },
);

testUnix("runScript() says why a script could not be started", async () => {
  const env = { SERF_USER_EVENT: "a\0b" };
  assert.deepEqual(await run("true", { env }), {
    output: "",
    failure: "fork/exec /bin/sh: invalid argument",
  });
  assert.deepEqual(await run("#".repeat(4 << 20)), {
    output: "",
    failure: "fork/exec /bin/sh: argument list too long",
  });
  const shell = { ...shellOf("linux"), path: "/no/such/shell" };
  assert.deepEqual(await run("true", { shell }), {
    output: "",
    failure: "fork/exec /no/such/shell: no such file or directory",
  });
});

testUnix("runScript() keeps the last 8192 bytes", async () => {
  const script =
    "i=0; while [ $i -lt 1000 ]; do echo line $i aaaaaaaaaa; i=$((i+1)); done";
  const whole = Array.from(
    { length: 1_000 },
    (_, index) => `line ${index} aaaaaaaaaa\n`,
  ).join("");
  const { output, failure } = await run(script);
  assert.equal(failure, undefined);
  assert.equal(output.length, OUTPUT_BYTES_MAX);
  assert.equal(output, whole.slice(-8_192));
});

testUnix(
  "runScript() survives a flood of 100 MB with little memory",
  async () => {
    // In a process of its own: here other tests run beside it and take memory.
    const invoke = new URL("../../lib/agent/invoke.ts", import.meta.url);
    const program = `
      import { runScript } from ${JSON.stringify(invoke.href)};
      const before = Deno.memoryUsage().rss;
      let most = before;
      setInterval(() => {
        most = Math.max(most, Deno.memoryUsage().rss);
      }, 20);
      const { output } = await runScript({
        script: "head -c 100000000 /dev/zero | tr '\\\\0' x; echo end",
        env: {},
        input: new Uint8Array(0),
      });
      const text = new TextDecoder().decode(output);
      console.log(JSON.stringify({ text, grownMb: (most - before) / 1e6 }));
      Deno.exit();`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", "--ext=ts", program],
      cwd: new URL("../..", import.meta.url),
    }).output();
    const { text, grownMb } = JSON.parse(utf8Text(stdout));
    assert.equal(text.length, OUTPUT_BYTES_MAX);
    assert.match(text, /^x+end\n$/);
    assert.ok(grownMb < 80, `memory grew by ${grownMb.toFixed()} MB`);
  },
);

testUnix(
  "runScript() takes the answer when the script has ended, not its jobs",
  async () => {
    await using file = new PidFile();
    const note = `echo $! >>${file.path}`;
    for (const timeoutMs of [undefined, 3_600_000]) {
      const { end, output, isHeld } = await runScript({
        script: `sleep 1000 & ${note}; echo answer`,
        env: {},
        input: new Uint8Array(0),
        ...(timeoutMs !== undefined && { timeoutMs }),
      });
      assert.deepEqual(end, { kind: "exited", code: 0 });
      assert.deepEqual([utf8Text(output), isHeld], ["answer\n", true]);
    }
    for (const pid of await file.has(2)) assert.ok(await isAlive(pid));
  },
);

testUnix(
  "runScript() reads all that the script wrote, beside a job that floods",
  async () => {
    await using file = new PidFile();
    const script = `yes job & echo $! >>${file.path}; sleep 0.1; exit 3`;
    const { output, failure } = await run(script);
    assert.equal(failure, "exit status 3");
    assert.match(output, /job\njob\n/);
    const large = await run(
      `sleep 1000 & echo $! >>${file.path}; seq 100000; echo last`,
    );
    assert.equal(large.output.length, OUTPUT_BYTES_MAX);
    assert.ok(large.output.endsWith("100000\nlast\n"));
  },
);

testUnix(
  "runScript() takes no input along for a job that holds the pipe",
  async () => {
    await using file = new PidFile();
    // The shell gives jobs an empty input; this one keeps the script's.
    const script =
      `exec 3<&0; sleep 1000 <&3 & echo $! >>${file.path}; echo on`;
    const input = new Uint8Array(1 << 20);
    assert.deepEqual(await run(script, { input }), said("on\n"));
  },
);

testUnix(
  "runScript() lets a job that holds the output print on, into nothing",
  async () => {
    await using file = new PidFile();
    // The job waits for a line that only this test writes.
    const fifo = `${file.path}.fifo`;
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const leftovers = new Leftovers();
    try {
      const job = [
        `read x <${fifo}`,
        ...["seq 100000", "echo last || exit 1"],
        `echo $$ >>${file.path}`,
      ].join("; ");
      const script = `(${job}) & echo $! >>${file.path}; echo on`;
      assert.deepEqual(await run(script, { leftovers }), said("on\n"));
      assert.equal(leftovers.size, 1);
      await Deno.writeTextFile(fifo, "word\n");
      await file.has(2);
      await until("the end of the pipe", () => leftovers.size === 0);
    } finally {
      leftovers.close();
      Deno.removeSync(fifo);
    }
  },
);

testUnix(
  "Leftovers close the oldest pipe beyond 64, and all at the end",
  async () => {
    await using file = new PidFile();
    const leftovers = new Leftovers();
    const script = `
    (trap 'exit 1' PIPE; while sleep 0.1; do echo on; done) &
    echo $! >>${file.path}`;
    await run(script, { leftovers });
    const [first] = await file.has(1);
    const more = `sleep 1000 & echo $! >>${file.path}`;
    await Promise.all(
      Array.from({ length: 63 }, () => run(more, { leftovers })),
    );
    assert.equal(leftovers.size, 64);
    assert.ok(await isAlive(first as number));
    await run(more, { leftovers });
    assert.equal(leftovers.size, 64);
    await until(
      "the broken pipe",
      async () => !(await isAlive(first as number)),
    );
    leftovers.close();
    assert.equal(leftovers.size, 0);
  },
);

testUnix(
  "runScript() does not wait for one whose output goes elsewhere",
  async () => {
    await using file = new PidFile();
    const ran = await run(
      `sleep 1000 >/dev/null 2>&1 & echo $! >>${file.path}; echo on`,
    );
    assert.deepEqual(ran, said("on\n"));
    const [pid] = await file.has(1);
    assert.ok(await isAlive(pid as number));
  },
);

testUnix(
  "runScript() kills the whole group when the time is over",
  async () => {
    await using file = new PidFile();
    const note = `echo $! >>${file.path}`;
    const script = [
      `echo $$ >>${file.path}; echo begun`,
      `sleep 1000 & ${note}`,
      `sleep 1000 >/dev/null 2>&1 & ${note}`,
      // A child of a child that takes no notice of polite signals.
      `(trap '' TERM HUP INT; sleep 1000; sleep 1000) & ${note}`,
      `(sh -c 'echo $$ >>${file.path}; sleep 1000; :'; :) & ${note}`,
      "wait",
    ].join("\n");
    const startMs = monotonicMs();
    const ran = run(script, { timeoutMs: 8_000 });
    const pids = await file.has(6);
    for (const pid of pids) assert.ok(await isAlive(pid));
    assert.deepEqual(await ran, {
      output: "begun\n",
      failure: "timed out after 8s, its process group was killed",
    });
    assert.ok(monotonicMs() - startMs >= 7_999);
    await file.allEnded();
  },
);

testUnix(
  "runScript() kills a job that outlives its shell when the time is over",
  async () => {
    await using file = new PidFile();
    const leftovers = new Leftovers();
    const script = `sleep 1000 & echo $! >>${file.path}; exit 3`;
    const killed: (string | undefined)[] = [];
    const { failure } = await run(script, {
      timeoutMs: 3_000,
      leftovers,
      onLateKill: (error) => killed.push(error),
    });
    assert.equal(failure, "exit status 3");
    await file.has(1);
    await file.allEnded();
    assert.deepEqual(killed, [undefined]);
    await until("the end of the pipe", () => leftovers.size === 0);
  },
);

testUnix(
  "runScript() waits no longer for what has left the group",
  async () => {
    await using file = new PidFile();
    // setsid is no part of every system; this one program is.
    const script = `${Deno.execPath()} eval --quiet '
    new Deno.Command("sh", {
      args: ["-c", "echo $$ >>${file.path}; exec sleep 1000"],
      detached: true,
    }).spawn().unref();'; sleep 1000; :`;
    const ran = run(script, { timeoutMs: 12_000 });
    const [pid] = await file.has(1);
    assert.equal(
      (await ran).failure,
      "timed out after 12s, its process group was killed",
    );
    assert.ok(await isAlive(pid as number), "it was asked for");
  },
);

testUnix("runScript() says when a group could not be killed", async () => {
  await using file = new PidFile();
  const shell = {
    ...shellOf("linux"),
    killGroup() {
      throw new Deno.errors.PermissionDenied(
        "Operation not permitted (os error 1)",
      );
    },
  };
  const script = `echo $$ >>${file.path}; exec sleep 1000`;
  const { failure } = await run(script, { timeoutMs: 3_000, shell });
  assert.equal(
    failure,
    "timed out after 3s, its process group could not be killed: " +
      "operation not permitted",
  );
});

testUnix(
  "runScript() leaves a script in the agent's group, unless it has a timeout",
  async () => {
    const script = "ps -o pgid= -p $$ | tr -d ' '; echo $$";
    const [group, pid] = (await run(script)).output.split("\n");
    assert.notEqual(group, pid);
    const [ownGroup, ownPid] = (await run(script, { timeoutMs: 60_000 })).output
      .split("\n");
    assert.equal(ownGroup, ownPid);
  },
);

testUnix("runScript() calls a script slow after a second, once", async () => {
  const timesSlow = async (script: string) => {
    let times = 0;
    await run(script, { onSlow: () => times++ });
    return times;
  };
  assert.equal(await timesSlow("sleep 2"), 1);
  // On a busy machine the quickest script may take a second, but not each time.
  await until("a quick one", async () => await timesSlow("true") === 0);
});

testUnix(
  "runScript() lets a script run on when nobody waits any more",
  async () => {
    await using file = new PidFile();
    const stopping = new AbortController();
    const ran = runScript({
      script: `echo $$ >>${file.path}; exec sleep 1000`,
      env: {},
      input: new Uint8Array(1 << 20),
      timeoutMs: 3_600_000,
      signal: stopping.signal,
    });
    const [pid] = await file.has(1);
    stopping.abort();
    assert.equal((await ran).end.kind, "abandoned");
    assert.ok(await isAlive(pid as number));
  },
);

testUnix(
  "runScript() reads two pipes, where a system has no way to join them",
  async () => {
    const shell = {
      ...shellOf("linux"),
      hasErrorPipe: true,
      args: (script: string) => ["-c", script],
    };
    const { output, failure } = await run("echo out; echo err >&2; exit 3", {
      shell,
    });
    assert.deepEqual(output.split("\n").sort(), ["", "err", "out"]);
    assert.equal(failure, "exit status 3");
    const input = utf8Bytes("x");
    assert.deepEqual(await run("cat >&2", { shell, input }), said("x"));
  },
);

Deno.test("shellOf() is cmd on Windows and /bin/sh elsewhere", () => {
  const windows = shellOf("windows");
  assert.equal(windows.path, "cmd");
  assert.deepEqual(windows.args('echo "a b" & dir'), [
    "/C",
    'echo "a b" & dir',
  ]);
  assert.ok(windows.hasErrorPipe);
  assert.ok(!windows.killsByGroup);
  for (const os of ["linux", "darwin", "freebsd"] as const) {
    assert.equal(shellOf(os).path, "/bin/sh");
    assert.equal(shellOf(os).args("x y").at(-1), "x y");
    assert.ok(!shellOf(os).hasErrorPipe);
  }
});

testUnix("runScript() ends a flood when nobody waits any more", async () => {
  await using file = new PidFile();
  const stopping = new AbortController();
  const ran = runScript({
    script: `echo $$ >>${file.path}; exec yes`,
    env: {},
    input: new Uint8Array(0),
    signal: stopping.signal,
  });
  const [pid] = await file.has(1);
  stopping.abort();
  await ran;
  await until("the broken pipe", async () => !(await isAlive(pid as number)));
});

Deno.test("runScript() says so when the system keeps no status of children", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const module = new URL("../../lib/agent/invoke.ts", import.meta.url).href;
  const program = `
    import { failureText, runScript } from "${module}";
    const invocation = { script: "echo hi", env: {}, input: new Uint8Array(0) };
    const { end, output } = await runScript(invocation);
    console.log(failureText(end), output.length);
  `;
  // As who starts us may have it: ignored signals are inherited.
  const { stdout } = await new Deno.Command("env", {
    args: [
      ...["--ignore-signal=CHLD", Deno.execPath(), "eval", "--quiet"],
      program,
    ],
    stdin: "null",
    stderr: "null",
  }).output();
  assert.equal(
    new TextDecoder().decode(stdout),
    "wait: no child processes 3\n",
  );
});
