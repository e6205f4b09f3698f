/**
 * The files for other programs: read by those, or by a parser of the same format,
 * where the machine has them, and for what they must say in any case.
 */

import assert from "node:assert/strict";
import { command as agent } from "../../cmd/agent.ts";
import { allHelp, Transcript } from "../../build/help_text.ts";
import { lacks } from "../programs.ts";
import { read, run, scratch } from "./tools.ts";

const UNIT = "packaging/systemd/serf.service";
const PLIST = "packaging/launchd/serf.agent.plist";

/** The settings of a unit: section, key, value. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  let section = "";
  for (const line of unit.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const title = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, key, value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    assert.ok(title ?? key, `no setting: ${line}`);
    if (title !== undefined) section = title;
    else {
      const name = `${section}.${key}`;
      settings.set(name, [...settings.get(name) ?? [], value]);
    }
  }
  return settings;
}

Deno.test("the systemd unit has what the agent and its safety need", () => {
  const settings = settingsOf(read(UNIT));
  const expected = {
    "Service.Type": "notify",
    "Service.NotifyAccess": "main",
    "Service.User": "serf",
    "Service.KillSignal": "SIGINT",
    "Service.Restart": "on-failure",
    "Service.WatchdogSec": "60s",
    "Service.WatchdogSignal": "SIGKILL",
    "Service.MemoryMax": "1G",
    "Service.OOMPolicy": "continue",
    "Service.TasksMax": "512",
    "Service.StateDirectory": "serf",
    "Service.ConfigurationDirectory": "serf",
    "Service.NoNewPrivileges": "yes",
    "Service.ProtectSystem": "strict",
    "Service.PrivateTmp": "yes",
    "Service.CapabilityBoundingSet": "",
    "Service.SystemCallFilter": "@system-service @pkey",
    "Service.RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "Install.WantedBy": "multi-user.target",
  };
  for (const [key, value] of Object.entries(expected)) {
    assert.deepEqual(settings.get(key), [value], key);
  }
  // V8 needs memory that it writes and executes.
  assert.ok(!settings.has("Service.MemoryDenyWriteExecute"));
  // A leave may take three seconds.
  const [stop = ""] = settings.get("Service.TimeoutStopSec") ?? [];
  assert.ok(parseInt(stop) > 3, stop);
});

Deno.test("the command lines of services are ours", () => {
  const help = agent.help(new Transcript());
  const used = [
    UNIT,
    PLIST,
    "packaging/sysv/serf",
    "packaging/docker/Dockerfile",
  ]
    .map((path) => /agent\b[^-]{0,40}-([a-z-]+)=/.exec(read(path))?.[1]);
  const windows = read("packaging/windows/serf-service.xml");
  used.push(/<arguments>agent -([a-z-]+)=/.exec(windows)?.[1]);
  // The script keeps the arguments elsewhere.
  used[2] ??= /DAEMON_ARGS="-([a-z-]+)=/.exec(read("packaging/sysv/serf"))?.[1];
  for (const flag of used) {
    assert.ok(flag !== undefined && help.includes(`\n  -${flag}=`), flag);
  }
});

Deno.test({
  name: "systemd finds nothing wrong in the unit (wants systemd-analyze)",
  ignore: lacks("systemd-analyze"),
  fn: async () => {
    using folder = scratch();
    const path = `${folder.path}/serf.service`;
    // Programs and pages that this machine need not have.
    const unit = read(UNIT).replace("/usr/local/bin/serf", "/bin/sh")
      .replace(/^Documentation=.*\n/m, "");
    Deno.writeTextFileSync(path, unit);
    const verified = await run(["systemd-analyze", "verify", path]);
    assert.deepEqual(
      [verified.code, verified.stdout, verified.stderr],
      [0, "", ""],
    );
    const rated = await run([
      ...["systemd-analyze", "security", "--offline=true", "--no-pager"],
      // The scale goes from 0, safe, to 100.
      ...["--threshold=20", path],
    ]);
    assert.equal(rated.code, 0, rated.stdout);
  },
});

/** Python's own parsers; the name that stands in tests is of the program. */
const PYTHON = "python3";

Deno.test({
  name: "the property list for launchd is one (wants python3)",
  ignore: lacks(PYTHON),
  fn: async () => {
    const { code, stdout, stderr } = await run([
      ...[PYTHON, "-c"],
      "import json, plistlib, sys\n" +
      "print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))",
      PLIST,
    ]);
    assert.equal(code, 0, stderr);
    const list = JSON.parse(stdout);
    assert.equal(list.Label, "serf.agent");
    assert.equal(PLIST.split("/").at(-1), `${list.Label}.plist`);
    assert.deepEqual(list.ProgramArguments.slice(1), [
      "agent",
      "-config-dir=/usr/local/etc/serf",
    ]);
    assert.deepEqual(list.KeepAlive, { SuccessfulExit: false });
    assert.ok(list.ExitTimeOut > 3);
    assert.equal(list.Umask, 0o077);
  },
});

Deno.test({
  name: "the file for WinSW is XML with what it wants (wants python3)",
  ignore: lacks(PYTHON),
  fn: async () => {
    const { code, stdout, stderr } = await run([
      ...[PYTHON, "-c"],
      "import json, sys, xml.etree.ElementTree as tree\n" +
      "root = tree.parse(sys.argv[1]).getroot()\n" +
      "print(json.dumps([root.tag, {e.tag: e.text for e in root}]))",
      "packaging/windows/serf-service.xml",
    ]);
    assert.equal(code, 0, stderr);
    const [tag, elements] = JSON.parse(stdout);
    assert.equal(tag, "service");
    for (const name of ["id", "name", "description", "executable"]) {
      assert.ok(elements[name], name);
    }
    assert.match(elements.stoptimeout, /^1\d sec$/);
  },
});

Deno.test("the Dockerfile copies what exists and runs as nobody special", () => {
  const text = read("packaging/docker/Dockerfile").replaceAll("\\\n", " ");
  const steps = text.split("\n").filter((line) => /^[A-Z]/.test(line))
    .map((line) => /^([A-Z]+) +(.*)$/.exec(line)?.slice(1) ?? [line, ""]);
  const last = (name: string) =>
    steps.findLast(([step]) => step === name)?.[1] ?? "";
  assert.equal(last("USER"), "serf");
  assert.equal(last("STOPSIGNAL"), "SIGTERM");
  assert.equal(last("EXPOSE"), "7946/tcp 7946/udp 7373/tcp");
  assert.deepEqual(JSON.parse(last("CMD")), ["agent", "-config-dir=/etc/serf"]);
  assert.match(
    last("HEALTHCHECK"),
    /CMD \["\/usr\/local\/bin\/serf", "info"\]$/,
  );
  for (const [step, rest = ""] of steps) {
    assert.match(
      step ?? "",
      /^(FROM|WORKDIR|COPY|RUN|ENV|USER|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD)$/,
    );
    if (step !== "COPY" || rest.startsWith("--from")) continue;
    Deno.statSync(new URL(`../../${rest.split(" ")[0]}`, import.meta.url));
  }
  for (const [step, rest = ""] of steps) {
    if (step === "FROM") assert.match(rest, /@sha256:[\da-f]{64}( AS \w+)?$/);
  }
  // The same Deno as everywhere: the one of build/deno.
  assert.ok(
    steps.some(([step, rest]) => step === "COPY" && rest === "build/deno ."),
  );
  // Without leave_on_terminate, `docker stop` would look like a failure.
  const settings = JSON.parse(read("packaging/config/service.json"));
  assert.equal(settings["leave_on_terminate"], true);
});

Deno.test("each command that the pages name exists", async () => {
  const names = (await allHelp()).map(({ name }) => name);
  const pages = ["docs/commands.md", "docs/service.md"].map(read).join("\n");
  for (const [, name = ""] of pages.matchAll(/`serf ([a-z-]+)/g)) {
    assert.ok(names.includes(name), name);
  }
});
