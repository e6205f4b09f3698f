/**
 * What an executable may do and may not. The flags are tried with a program that
 * goes where ours have no business; then the built program itself is sent there.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ISOLATION_FLAGS, PERMISSION_FLAGS } from "../../build/permissions.ts";

const ROOT = join(import.meta.dirname ?? "", "../..");

/** Runs a script as an executable runs; returns the names of what succeeded. */
async function attempt(
  attempts: Readonly<Record<string, string>>,
  prologue = "",
): Promise<string[]> {
  const folder = Deno.makeTempDirSync();
  try {
    const lines = Object.entries(attempts).map(([name, code]) =>
      `try { ${code}; done.push("${name}"); } catch (error) {
         if (!(error instanceof Deno.errors.NotCapable) &&
           !/^Requires import access/.test(error.message)) throw error;
       }`
    );
    const script = `${folder}/attempt.ts`;
    Deno.writeTextFileSync(
      script,
      `${prologue}\nconst done: string[] = [];\n${lines.join("\n")}\n` +
        `console.log(JSON.stringify(done));`,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", ...ISOLATION_FLAGS, ...PERMISSION_FLAGS],
        script,
      ],
      cwd: folder,
      env: { HOME: "/", LD_LIBRARY_PATH: "/none" },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("an executable may do what an agent needs, and no more", async () => {
  const needed = {
    "listens": `Deno.listen({ hostname: "127.0.0.1", port: 0 }).close()`,
    "receives": `Deno.listenDatagram({
      transport: "udp", hostname: "127.0.0.1", port: 0 }).close()`,
    "reads": `Deno.readTextFileSync("/etc/hosts")`,
    "writes": `Deno.writeTextFileSync("keyring", "")`,
    "has a socket":
      `Deno.listen({ transport: "unix", path: Deno.cwd() + "/s" }).close()`,
    "has a mask": `Deno.umask()`,
    "runs scripts": `new Deno.Command("/bin/sh", { args: ["-c", "true"] })
      .outputSync()`,
    "kills groups": `const child = new Deno.Command("sleep", {
      args: ["60"], detached: true }).spawn();
      Deno.kill(-child.pid, "SIGKILL"); await child.status`,
    "knows its host": `Deno.hostname()`,
    "knows its interfaces": `Deno.networkInterfaces()`,
    "knows its agent": `Deno.env.get("SERF_RPC_ADDR")`,
  };
  const notNeeded = {
    "reads the environment": `Deno.env.get("HOME")`,
    "lists the environment": `Deno.env.toObject()`,
    "sets the environment": `Deno.env.set("PATH", "/tmp")`,
    "calls native code": `Deno.dlopen("/lib64/libm.so.6", {})`,
    "finds native code": `Deno.dlopen("libc.so.6", {})`,
    "loads code": `await import("https://example.com/code.js")`,
    "asks for memory": `Deno.systemMemoryInfo()`,
    "asks for the release": `Deno.osRelease()`,
    "asks for the user": `Deno.uid()`,
    ...(Deno.build.os === "linux" && {
      "looks at processes": `Deno.readTextFileSync("/proc/self/environ")`,
      "reads devices": `Deno.openSync("/dev/mem")`,
      "changes the system":
        `Deno.writeTextFileSync("/proc/sys/kernel/core_pattern", "x")`,
    }),
  };
  assert.deepEqual(
    await attempt({ ...needed, ...notNeeded }),
    Object.keys(needed),
  );
});

Deno.test("ProcessTerminal.keepOnly() gives the rest up for good", async () => {
  const terminal = `import { ProcessTerminal } from "${ROOT}/cmd/terminal.ts";
    const terminal = new ProcessTerminal();`;
  const attempts = {
    "listens": `Deno.listen({ hostname: "127.0.0.1", port: 0 }).close()`,
    "reads": `Deno.readTextFileSync("/etc/hosts")`,
    "writes": `Deno.writeTextFileSync("file", "")`,
    "runs": `new Deno.Command("true").outputSync()`,
    "knows its host": `Deno.hostname()`,
    "knows its agent": `Deno.env.get("SERF_RPC_ADDR")`,
    "asks for more": `if ((await Deno.permissions.request({ name: "read" }))
      .state !== "granted") throw new Deno.errors.NotCapable()`,
  };
  const after = (kept: string) =>
    attempt(attempts, `${terminal} terminal.keepOnly(${kept});`);
  assert.deepEqual(await after("[]"), ["listens"]);
  assert.deepEqual(await after('["sys"]'), ["listens", "knows its host"]);
  assert.deepEqual(await after('["read", "run"]'), [
    "listens",
    "reads",
    "runs",
    "asks for more",
  ]);
});

Deno.test({
  name: "the default route is known without leave to read /proc",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { defaultRouteInterface, interfaceAddresses } = await import(
      "../../lib/net/interfaces.ts"
    );
    const route = JSON.stringify(defaultRouteInterface() ?? null);
    const lo = JSON.stringify(interfaceAddresses("lo"));
    const same = (code: string, value: string) =>
      `if (JSON.stringify(${code}) !== ${JSON.stringify(value)})
         throw new Error(JSON.stringify(${code}))`;
    const prologue = `import * as all from "${ROOT}/lib/net/interfaces.ts";`;
    assert.deepEqual(
      await attempt({
        route: same("all.defaultRouteInterface() ?? null", route),
        addresses: same('all.interfaceAddresses("lo")', lo),
        none: same('all.interfaceAddresses("none0") ?? null', "null"),
      }, prologue),
      ["route", "addresses", "none"],
    );
  },
});
