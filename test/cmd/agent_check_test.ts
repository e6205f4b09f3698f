/** `serf agent -check`: what it finds, what it shows, and that it starts nothing. */

import assert from "node:assert/strict";
import { command } from "../../cmd/agent.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the check in a directory with files; its path is called DIR, in and out.
 *
 * @param mode permissions of the files
 */
async function check(
  args: readonly string[],
  files: Record<string, unknown> = {},
  mode = 0o600,
): Promise<Outcome> {
  const directory = await Deno.makeTempDir({ prefix: "serf_check_" });
  const put = (text: string) => text.replaceAll("DIR", directory);
  const terminal = new FakeTerminal();
  try {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string"
        ? content
        : JSON.stringify(content, undefined, 1);
      const path = `${directory}/${name}`;
      await Deno.writeTextFile(path, put(text));
      if (Deno.build.os !== "windows") await Deno.chmod(path, mode);
    }
    const code = await command.run(["-check", ...args.map(put)], terminal);
    return {
      code,
      stdout: terminal.stdout.replaceAll(directory, "DIR"),
      stderr: terminal.stderr.replaceAll(directory, "DIR"),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** What is said, without what is shown. */
function messages({ stdout }: Outcome): string[] {
  return stdout.trimEnd().split("\n==> ").map((text, i) =>
    i === 0 ? text.replace("==> ", "") : text
  );
}

/** What is shown: value and source by key. */
function rowsOf({ stdout }: Outcome): Map<string, [string, string]> {
  const [settings = ""] = stdout.split("==> Security\n");
  const rows = settings.split("\n").filter((line) => line.startsWith("    "))
    .map((line) => line.trim().split(/ {2,}/) as [string, string, string]);
  return new Map(rows.map(([key, value, source]) => [key, [value, source]]));
}

Deno.test("-check shows what is in force, and who said so", async () => {
  const outcome = await check(
    ["-config-dir=DIR", "-tag", "dc=east", "-bind=127.0.0.1:5", "-role=web"],
    {
      "a.json": {
        node_name: "web-1",
        encrypt_key: KEY,
        rpc_auth: "s3cret",
        start_join: ["10.0.0.1"],
        retry_interval: "90s",
        leave_on_terminate: true,
      },
      "b.json": { tags: { x: "y" }, start_join: ["10.0.0.2:5"] },
    },
  );
  assert.equal(outcome.code, 0);
  assert.equal(outcome.stderr, "");
  assert.match(
    outcome.stdout,
    /^==> Deprecation warning: 'Role' .*\n==> The configuration is valid\n {4}node_name/,
  );
  const expected: Record<string, [string, string]> = {
    node_name: ["web-1", "DIR/a.json"],
    tags: ["x=y, dc=east, role=web", "DIR/b.json, command line"],
    bind: ["127.0.0.1:5", "command line"],
    advertise: ["(none)", "default"],
    profile: ["lan", "default"],
    protocol: ["5", "default"],
    encrypt_key: ["(set)", "DIR/a.json"],
    rpc_auth: ["(set)", "DIR/a.json"],
    start_join: ["10.0.0.1, 10.0.0.2:5", "DIR/a.json, DIR/b.json"],
    retry_interval: ["1m30s", "DIR/a.json"],
    leave_on_terminate: ["true", "DIR/a.json"],
    "-disable-compression": ["false", "default"],
  };
  const rows = rowsOf(outcome);
  for (const [key, row] of Object.entries(expected)) {
    assert.deepEqual(rows.get(key), row, key);
  }
  assert.ok(!rows.has("role"), "it is a tag by now");
  assert.ok(!outcome.stdout.includes("s3cret"));
  assert.ok(!outcome.stdout.includes(KEY));
  const [shown = "", security = ""] = outcome.stdout.split("==> Security\n");
  assert.match(security, /^ {4}encryption {4}on, 1 key from DIR\/a\.json/);
  const columns = shown.split("\n").filter((line) => line.startsWith("    "))
    .map((line) => line.search(/(DIR|default$|command line$)/));
  assert.equal(new Set(columns).size, 1, "the sources stand in one column");
});

Deno.test("-check -format=json makes a file with the same settings, but no secrets", async () => {
  const first = await check(
    ["-config-file=DIR/a.json", "-format=json", "-node=n", "-log-level=debug"],
    {
      "a.json": {
        encrypt_key: KEY,
        rpc_auth: "s3cret",
        tags: { b: "2", a: "1" },
        retry_interval: "90s",
        event_handlers: ["x", { script: "y", concurrency: 2 }],
        user_event_size_limit: 100,
        disable_coordinates: true,
      },
    },
  );
  assert.equal(first.code, 0);
  assert.equal(first.stderr, "");
  const made = JSON.parse(first.stdout);
  assert.equal(made.node_name, "n");
  assert.equal(made.log_level, "debug");
  assert.equal(made.retry_interval, "1m30s");
  assert.deepEqual(made.tags, { a: "1", b: "2" });
  assert.deepEqual(made.event_handlers, ["x", { script: "y", concurrency: 2 }]);
  assert.equal(made.disable_coordinates, true);
  for (const key of ["encrypt_key", "rpc_auth", "role", "advertise"]) {
    assert.ok(!(key in made), key);
  }
  const again = await check(["-config-file=DIR/made.json", "-format=json"], {
    "made.json": made,
  });
  assert.deepEqual(again, first);
});

Deno.test("-check lists all problems, of flags, files and values, in order", async () => {
  const outcome = await check(
    ["-config-dir=DIR", "-tag", "foo", "-retry-interval=x", "-iface=nope0"],
    {
      "a.json": { nodename: 1, protocol: 9, profile: "moon" },
      "b.json": {
        log_level: "loud",
        bind: "::1",
        advertise: "1.2.3",
        encrypt_key: "AAAA",
        user_event_size_limit: 10_000,
        tags: { big: "x".repeat(600) },
        rpc_addr: "nowhere",
        start_join: ["10.0.0.1:x", "/y"],
      },
    },
  );
  assert.equal(outcome.code, 1);
  assert.equal(outcome.stderr, "");
  const found = messages(outcome).map((text) => text.split("\n")[0]);
  const create = "Failed to start the Serf agent: Error creating Serf: ";
  assert.deepEqual(found, [
    "Error: Invalid tag: 'foo'",
    'Error: time: invalid duration "x"',
    "Error decoding 'DIR/a.json': 1 error(s) decoding:",
    "Invalid network interface: route ip+net: no such network interface",
    "Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]",
    "Invalid bind address: address ::1: too many colons in address",
    "Invalid advertise address: lookup 1.2.3: no such host",
    "Unknown profile: moon",
    `${create}Protocol version '9' too high. Must be in range: [2, 5]`,
    `${create}user event size limit exceeds limit of 9216 bytes`,
    `${create}Encoded length of tags exceeds limit of 512 bytes`,
    `${create}Failed to create memberlist: key size must be 16, 24 or 32 bytes`,
    "Error starting RPC listener: listen tcp: address nowhere: missing port in address",
    "Invalid address to join '10.0.0.1:x': " +
    'strconv.ParseUint: parsing "x": invalid syntax',
    "Invalid address to join '/y': empty node name provided",
    "The configuration is not valid",
  ]);
  assert.match(
    outcome.stdout,
    /Unknown profile: moon\n {4}DIR\/a\.json: "profile" takes "lan", "wan" or "local"\n/,
  );
});

Deno.test("-check judges what files that cannot be read do not change", async () => {
  const outcome = await check([
    "-config-dir=DIR",
    "-config-file=DIR/none",
    "-log-level=loud",
    "-mdns-iface=lo",
    "-keyring-file=DIR/keys",
  ], {
    "a.json": { profile: "moon" },
    "b.json": "{",
    "c.json": { bogus: 1 },
  });
  assert.equal(outcome.code, 1);
  assert.deepEqual(messages(outcome).map((text) => text.split("\n")[0]), [
    "Error decoding 'DIR/b.json': unexpected EOF",
    "Error decoding 'DIR/c.json': 1 error(s) decoding:",
    "Error reading 'DIR/none': open DIR/none: no such file or directory",
    "Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]",
    "Unknown profile: moon",
    "Failed to setup the Serf agent: stat DIR/keys: no such file or directory",
    "The configuration is not valid; more may be wrong, which shows when all files can be read",
  ]);
});

Deno.test("-check looks into the files that the agent keeps", async () => {
  const setup = "Failed to setup the Serf agent: ";
  const cases: readonly (readonly [unknown, string[], string | undefined])[] = [
    [{ a: "1" }, ["-tags-file=DIR/f"], undefined],
    [{}, ["-tags-file=DIR/none"], undefined],
    [
      { a: 1 },
      [
        "-tags-file=DIR/f",
      ],
      "Failed to decode tags file: json: cannot unmarshal number into Go value of type string",
    ],
    [
      {},
      ["-tags-file=DIR/f", "-tag", "a=b"],
      "Tags config not allowed while using tag files",
    ],
    [
      "no",
      [
        "-tags-file=DIR/f",
      ],
      "Failed to decode tags file: invalid character 'o' in literal null (expecting 'u')",
    ],
    [
      [],
      [
        "-tags-file=DIR/f",
      ],
      "Failed to decode tags file: json: cannot unmarshal array into Go value of type map[string]string",
    ],
    [[KEY], ["-keyring-file=DIR/f"], undefined],
    [
      [KEY],
      ["-keyring-file=DIR/f", `-encrypt=${KEY}`],
      "Encryption key not allowed while using a keyring",
    ],
    [[], ["-keyring-file=DIR/f"], "Keyring file contains no keys"],
    [[], [
      "-keyring-file=DIR/none",
    ], "stat DIR/none: no such file or directory"],
    ["", [
      "-keyring-file=DIR/f",
    ], "Failed to decode keyring file: unexpected end of JSON input"],
    [
      ["@"],
      [
        "-keyring-file=DIR/f",
      ],
      "Failed to decode key from keyring: illegal base64 data at input byte 0",
    ],
    [["AAAA"], [
      "-keyring-file=DIR/f",
    ], "Failed to restore keyring: key size must be 16, 24 or 32 bytes"],
  ];
  for (const [content, args, problem] of cases) {
    const outcome = await check(args, { f: content });
    assert.deepEqual(
      messages(outcome).filter((text) => text.startsWith("Failed")),
      problem === undefined ? [] : [setup + problem],
    );
    assert.equal(outcome.code, problem === undefined ? 0 : 1);
  }
  const long = await check(["-tags-file=DIR/f"], {
    f: { a: "x".repeat(510) },
  });
  assert.deepEqual(messages(long).slice(0, -1), [
    "Failed to start the Serf agent: Error creating Serf: " +
    "Encoded length of tags exceeds limit of 512 bytes",
  ]);
  assert.equal(
    messages(await check(["-snapshot=DIR"]))[0],
    "Failed to start the Serf agent: Error creating Serf: Failed to setup " +
      "snapshot: failed to open snapshot: open DIR: is a directory",
  );
});

Deno.test("-check passes before the first start, when the state directory is not there", async () => {
  const outcome = await check(["-config-dir=DIR"], {
    "serf.json": {
      snapshot_path: "DIR/no/snapshot",
      tags_file: "DIR/no/tags.json",
      leave_on_terminate: true,
    },
  });
  assert.equal(outcome.code, 0);
  assert.equal(
    messages(outcome)[0],
    "Warning: The directory DIR/no of 'snapshot_path' and 'tags_file' does " +
      "not exist; make it before the start, unless the service does " +
      "(StateDirectory= of systemd)",
  );
});

Deno.test("-check names the file that has a bad path, and not what a path is", async () => {
  const outcome = await check(["-config-dir=DIR"], {
    "serf.json": { keyring_file: "DIR/keys" },
  });
  assert.equal(
    messages(outcome)[0],
    "Failed to setup the Serf agent: stat DIR/keys: no such file or directory\n" +
      '    DIR/serf.json: "keyring_file" names that path',
  );
});

Deno.test("-check shows one handler a line, and a long value widens no other row", async () => {
  const script = `member-join=/usr/local/bin/join ${
    "--with-an-option ".repeat(9)
  }`;
  const outcome = await check([
    `-event-handler=${script}x`,
    "-event-handler=user=/bin/true",
  ]);
  const lines = outcome.stdout.split("\n");
  const at = lines.findIndex((line) => line.startsWith("    event_handlers "));
  assert.match(lines[at] ?? "", /member-join=.* x {2}command line$/);
  assert.match(lines[at + 1] ?? "", /^ {20,}user=\/bin\/true$/);
  for (const [i, line] of lines.entries()) {
    if (i !== at) assert.ok(line.length <= 100, line);
  }
});

const EXPOSED =
  "Warning: Everybody who reaches ADDRESS can command this agent: " +
  "it listens WHERE and 'rpc_auth' is not set";

Deno.test("-check warns of a control port that everybody can reach", async () => {
  const all = "on all addresses of this machine";
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["127.0.0.1:7373", undefined],
    ["127.9.9.9:7373", undefined],
    ["[::1]:7373", undefined],
    ["unix:///tmp/serf.sock", undefined],
    ["0.0.0.0:7373", all],
    [":7373", all],
    ["[::]:7373", all],
    ["10.1.2.3:7373", "beyond this machine"],
    ["[fe80::1]:7373", "beyond this machine"],
  ];
  for (const [address, where] of cases) {
    const open = await check([`-rpc-addr=${address}`]);
    assert.equal(open.code, 0);
    assert.deepEqual(
      messages(open).filter((text) => text.startsWith("Warning")),
      where === undefined
        ? []
        : [EXPOSED.replace("ADDRESS", address).replace("WHERE", where)],
    );
    const closed = await check([`-rpc-addr=${address}`, "-rpc-auth=x"]);
    assert.ok(!closed.stdout.includes("Warning"), address);
  }
});

Deno.test({
  name:
    "-check warns of secrets that other users can read, and of files they can change",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const files = {
      "a.json": { rpc_auth: "x", keyring_file: "DIR/keys" },
      "b.json": { node_name: "n" },
      "keys": [KEY],
    };
    const args = ["-config-file=DIR/a.json", "-config-file=DIR/b.json"];
    const said = async (mode: number) =>
      messages(await check(args, files, mode))
        .filter((text) => text.startsWith("Warning"));
    // The group is the service's own, as docs/service.md has it.
    assert.deepEqual(await said(0o640), []);
    assert.deepEqual(await said(0o644), [
      "Warning: Every user of this machine can read 'rpc_auth' in DIR/a.json: its mode is 0644",
      "Warning: Every user of this machine can read the encryption keys in DIR/keys: its mode is 0644",
    ]);
    assert.deepEqual(await said(0o602), [
      "Warning: Every user of this machine can change DIR/a.json: its mode is 0602",
      "Warning: Every user of this machine can change DIR/b.json: its mode is 0602",
      "Warning: Every user of this machine can change DIR/keys: its mode is 0602",
    ]);
  },
});

/** The section on security, without the space in front of its lines. */
function securityOf({ stdout }: Outcome): string[] {
  const [, section = ""] = stdout.split("==> Security\n");
  return section.trimEnd().split("\n").map((line) => line.trim());
}

Deno.test("-check sums up what matters for security", async () => {
  assert.deepEqual(securityOf(await check([])), [
    "encryption    off: whoever reaches the gossip port is believed",
    "control port  127.0.0.1:7373, for this machine alone, no token",
    "gossip        0.0.0.0, reachable at all addresses of this machine",
    "handlers      none",
    "discovery     off",
    "metrics       not sent",
    "log           INFO",
    "node names    any",
  ]);
  const mode = Deno.build.os === "windows" ? "" : ", mode 0600";
  const outcome = await check([
    "-config-file=DIR/a.json",
    "-rpc-addr=unix:///tmp/serf.sock",
    "-bind=10.0.0.1",
    "-advertise=192.0.2.1:7000",
    "-rpc-auth=x",
    "-discover=here",
    "-syslog",
  ], {
    "a.json": {
      keyring_file: "DIR/keys",
      event_handlers: ["/bin/true", "/bin/false"],
      statsd_addr: "10.0.0.9:8125",
      log_level: "debug",
      validate_node_names: true,
    },
    "keys": [KEY, KEY],
  });
  assert.deepEqual(securityOf(outcome), [
    `encryption    on, 2 keys from DIR/keys${mode}`,
    "control port  unix:///tmp/serf.sock, for its owner alone, token from command line",
    "gossip        10.0.0.1, reachable from outside, announced as 192.0.2.1:7000",
    "handlers      2, with the rights of the agent",
    "discovery     here",
    "metrics       10.0.0.9:8125",
    "log           DEBUG, copied to syslog LOCAL0",
    "node names    validated",
  ]);
});

Deno.test("-check -format=report makes one document of everything", async () => {
  const good = await check(["-format=report", "-node=n", "-rpc-addr=:1"]);
  assert.deepEqual([good.code, good.stderr], [0, ""]);
  const { valid, problems, notes, settings, security } = JSON.parse(
    good.stdout,
  );
  assert.deepEqual([valid, problems, settings.node_name], [true, [], "n"]);
  assert.match(notes[0], /^Warning: Everybody who reaches :1 can command/);
  assert.deepEqual(security, {
    encryption: { on: false, keys_from: null, keys: null, mode: null },
    rpc: {
      address: ":1",
      reach: "all addresses",
      token: false,
      token_from: null,
    },
    gossip: { bind: "0.0.0.0", reach: "all addresses", advertise: null },
    handlers: 0,
    discover: null,
    metrics_to: [],
    log_level: "INFO",
    syslog: null,
    validates_names: false,
  });
  const bad = await check(["-format=report", "-profile=x"]);
  assert.deepEqual([bad.code, bad.stderr], [1, ""]);
  assert.deepEqual(JSON.parse(bad.stdout), {
    valid: false,
    problems: [
      'Unknown profile: x\n    -profile takes "lan", "wan" or "local"',
    ],
    notes: [],
  });
});

Deno.test("-check says what does not count, and in JSON says it elsewhere", async () => {
  const files = { "a.json": { enable_compression: false, node_name: "n" } };
  const text = await check(["-config-file=DIR/a.json"], files);
  assert.match(
    text.stdout,
    /^==> Note: 'enable_compression' in DIR\/a\.json: /,
  );
  assert.equal(text.code, 0);
  const json = await check(["-config-file=DIR/a.json", "-format=json"], files);
  assert.match(json.stderr, /^==> Note: 'enable_compression' .*\n==> The conf/);
  assert.ok(!("enable_compression" in JSON.parse(json.stdout)));
  const bad = await check(["-format=json", "-profile=x"]);
  assert.deepEqual(bad, {
    code: 1,
    stdout: "",
    stderr: "==> Unknown profile: x\n" +
      '    -profile takes "lan", "wan" or "local"\n' +
      "==> The configuration is not valid\n",
  });
});

Deno.test("-check knows three formats", async () => {
  assert.deepEqual(await check(["-format=yaml"]), {
    code: 1,
    stdout: '==> Invalid output format "yaml"\n',
    stderr: "",
  });
});

Deno.test("-check says what a flag at fault takes", async () => {
  const bad = await check(["-encrypt=abc", "-bind=127.0.0.1:99999"]);
  assert.deepEqual(messages(bad), [
    "Invalid bind address: address 99999: invalid port\n" +
    '    -bind takes an address, such as "10.0.0.1", "10.0.0.1:7946" or "[::1]:7946"',
    "Invalid encryption key: illegal base64 data at input byte 0\n" +
    "    -encrypt takes 16, 24 or 32 bytes in base64, as `serf keygen` prints them",
    "The configuration is not valid",
  ]);
});
