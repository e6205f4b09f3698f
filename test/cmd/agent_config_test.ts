/**
 * Bad configurations: each gives its own error and exit code 1.
 *
 * Most were given to the original too, and our output begins with its output,
 * byte by byte; below it we say where and what would be right. The others are
 * mistakes that only this program knows of.
 */

import assert from "node:assert/strict";
import { command } from "../../cmd/agent.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { HINTS } from "./config_hints.ts";

interface Recording {
  readonly name: string;
  readonly args: readonly string[];
  /** Content of the file, if there is one. */
  readonly config?: string;
  readonly exit: number;
  readonly stdout: string;
}

const { records } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/cli/agent_config.json", import.meta.url),
  ),
) as { readonly records: readonly Recording[] };

/** Runs `serf agent` with a file; its path is called FILE, in and out. */
async function run(
  args: readonly string[],
  config?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const directory = await Deno.makeTempDir({ prefix: "serf_config_" });
  const path = `${directory}/c.json`;
  const terminal = new FakeTerminal();
  try {
    if (config !== undefined) await Deno.writeTextFile(path, config);
    const code = await command.run(
      args.map((arg) => arg.replace("FILE", path)),
      terminal,
    );
    return {
      code,
      stdout: terminal.stdout.replaceAll(path, "FILE"),
      stderr: terminal.stderr,
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const { name, args, config, exit, stdout } of records) {
  Deno.test(`bad configuration: ${name}`, async () => {
    const hints = (HINTS[name] ?? []).map((hint) => `    ${hint}\n`);
    assert.deepEqual(await run(args, config), {
      code: exit,
      stdout: stdout + hints.join(""),
      stderr: "",
    });
  });
}

Deno.test("bad configurations: no hint without its recording, each with its own text", () => {
  const names = records.map(({ name }) => name);
  assert.deepEqual(
    Object.keys(HINTS).filter((name) => !names.includes(name)),
    [],
  );
  assert.ok(names.length > 30);
  assert.ok(records.every(({ exit }) => exit === 1));
});

const HANDLERS = "takes a list of handlers, such as " +
  '["member-join=/etc/serf/join.sh"] or ' +
  '[{"filter": "user:deploy", "script": "deploy.sh"}]';

/** What the original takes, or words otherwise: name, file, what we say. */
const OURS: readonly (readonly [string, string, string])[] = [
  [
    "a flag that files do not have",
    '{"disable_compression": true}',
    "1 error(s) decoding:\n\n* '' has invalid keys: disable_compression\n" +
    '    line 1: "disable_compression" is only a flag: -disable-compression',
  ],
  [
    "a negative limit",
    '{"query_size_limit": -1}',
    "1 error(s) decoding:\n\n* 'query_size_limit' is out of range, value: '-1'\n" +
    '    line 1: "query_size_limit" takes a number of bytes, such as 1024',
  ],
  [
    "a negative duration",
    '{"reconnect_timeout": "-5s"}',
    "1 error(s) decoding:\n\n* 'reconnect_timeout' is out of range, value: '-5s'\n" +
    '    line 1: "reconnect_timeout" takes a duration, such as "30s"',
  ],
  [
    "an integer that no integer can hold",
    '{"protocol": 1e300}',
    "1 error(s) decoding:\n\n* 'protocol' is out of range, value: '1e+300'\n" +
    '    line 1: "protocol" takes a whole number from 2 to 5',
  ],
  [
    "a handler with a field that there is not",
    '{"event_handlers": [{"script": "x", "timeuot": "5s"}]}',
    "1 error(s) decoding:\n\n* 'event_handlers[0]' has invalid keys: timeuot\n" +
    '    line 1: did you mean "timeout" instead of "timeuot"?',
  ],
  [
    "a handler with a field of another type",
    '{"event_handlers": ["a", {"script": "x", "concurrency": "2"}]}',
    "1 error(s) decoding:\n\n* 'event_handlers[1].concurrency' expected type " +
    "'int', got unconvertible type 'string', value: '2'\n" +
    `    line 1: "event_handlers" ${HANDLERS}`,
  ],
  [
    "a handler without a script",
    '{"event_handlers": [{"filter": "user"}]}',
    "1 error(s) decoding:\n\n* 'event_handlers[0]' needs a 'script'\n" +
    `    line 1: "event_handlers" ${HANDLERS}`,
  ],
];

for (const [name, config, problem] of OURS) {
  Deno.test(`bad configuration of our own: ${name}`, async () => {
    assert.deepEqual(await run(["-config-file=FILE"], config), {
      code: 1,
      stdout: `==> Error decoding 'FILE': ${problem}\n`,
      stderr: "",
    });
  });
}

Deno.test("bad configuration of our own: a name that is not to be had", async () => {
  assert.deepEqual(
    await run(
      ["-config-file=FILE", "-bind=127.0.0.1:0"],
      '{"validate_node_names": true, "node_name": "web_1"}',
    ),
    {
      code: 1,
      stdout: "==> Starting Serf agent...\n" +
        "==> Failed to start the Serf agent: Error creating Serf: " +
        "Node name contains invalid characters web_1 , Valid characters " +
        "include all alpha-numerics and dashes and '.' \n" +
        '    FILE: "node_name" takes a text, such as "web-1"\n',
      stderr: "",
    },
  );
});

Deno.test("a mistake in a flag comes first, as in the original", async () => {
  const config = "not json";
  const tag = ["-config-file=FILE", "-tag", "foo"];
  const interval = ["-config-file=FILE", "-retry-interval=x"];
  assert.equal(
    (await run([...interval, ...tag], config)).stdout,
    "==> Error: Invalid tag: 'foo'\n",
  );
  assert.equal(
    (await run([...interval, "-broadcast-timeout=y"], config)).stdout,
    '==> Error: time: invalid duration "x"\n',
  );
});

Deno.test("-format is refused where nothing is checked", async () => {
  const { code, stdout } = await run(["-format=json"]);
  assert.equal(code, 1);
  assert.match(stdout, /^==> -format is for -check\n\nUsage: serf agent/);
});
