/** Telling systemd, with a socket of the test's own in its place. */

import assert from "node:assert/strict";
import {
  ServiceNotifier,
  type ServiceVariables,
  socketAddress,
  watchdogLimitMs,
} from "../../lib/agent/service_notify.ts";
import { until } from "../net/deadline.ts";
import { lacks } from "../programs.ts";
import { FakeSystemd } from "./fake_systemd.ts";

const isLinux = Deno.build.os === "linux";

/** Beats four times in 40 ms. */
const variables = (path: string): ServiceVariables => ({
  NOTIFY_SOCKET: path,
  WATCHDOG_USEC: "40000",
  WATCHDOG_PID: String(Deno.pid),
});

const beatsIn = (heard: readonly string[]) =>
  heard.filter((state) => state === "WATCHDOG=1").length;

Deno.test("ServiceNotifier tells what the agent does, in order", {
  ignore: !isLinux,
}, async () => {
  using systemd = new FakeSystemd();
  const service = new ServiceNotifier({ NOTIFY_SOCKET: systemd.path });
  service.ready({ overdueMs: () => 0 });
  service.reloading();
  service.reloaded();
  service.stopping();
  await until("four messages", () => systemd.heard.length === 4);
  service.close();
  const [ready, reloading = "", ...others] = systemd.heard;
  assert.equal(ready, "READY=1");
  const micros = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading)?.[1];
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  assert.ok(Number(micros) > 0 && Number(micros) < (uptime + 60) * 1e6, micros);
  assert.deepEqual(others, ["READY=1", "STOPPING=1"]);
});

Deno.test("ServiceNotifier beats while the node works, and only then", {
  ignore: !isLinux,
}, async () => {
  using systemd = new FakeSystemd();
  const service = new ServiceNotifier(variables(systemd.path));
  let overdueMs = 0;
  let looks = 0;
  service.ready({
    overdueMs() {
      looks++;
      return overdueMs;
    },
  });
  await until("beats", () => beatsIn(systemd.heard) >= 5);
  // Half of what systemd allows.
  overdueMs = 20;
  const end = looks + 5;
  await until("looks without a beat", () => looks >= end);
  const beats = beatsIn(systemd.heard);
  overdueMs = 19;
  await until("the next beat", () => beatsIn(systemd.heard) > beats);
  service.close();
  assert.ok(beatsIn(systemd.heard) <= looks - 5);
});

Deno.test("ServiceNotifier is no trouble when systemd is not there", {
  ignore: !isLinux,
}, () => {
  const service = new ServiceNotifier(variables("/nowhere/notify"));
  service.ready({ overdueMs: () => 0 });
  service.close();
});

/** Prints what comes to an abstract name, until that is STOPPING. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + sys.argv[1])
print("bound", flush=True)
while True:
    text = s.recv(1000).decode()
    print(text, flush=True)
    if text == "STOPPING=1":
        break
`;

Deno.test({
  name: "ServiceNotifier reaches an abstract name (wants python3)",
  ignore: !isLinux || lacks("python3"),
  fn: async () => {
    const name = `serf-test-${crypto.randomUUID()}`;
    const receiver = new Deno.Command("python3", {
      args: ["-c", RECEIVER, name],
      stdout: "piped",
    }).spawn();
    let text = "";
    const read = (async () => {
      const parts = receiver.stdout.pipeThrough(new TextDecoderStream());
      for await (const part of parts) text += part;
    })();
    try {
      await until("the receiver", () => text === "bound\n");
      const service = new ServiceNotifier({ NOTIFY_SOCKET: `@${name}` });
      service.ready({ overdueMs: () => 0 });
      service.stopping();
      await read;
      service.close();
      assert.equal(text, "bound\nREADY=1\nSTOPPING=1\n");
    } finally {
      try {
        receiver.kill("SIGKILL");
      } catch {
        // It has ended, as it should.
      }
      await receiver.status;
    }
  },
});

Deno.test("socketAddress() knows paths and abstract names", () => {
  assert.deepEqual(
    [...socketAddress("/a")],
    [1, 0, 0x2f, 0x61, 0],
  );
  assert.deepEqual([...socketAddress("@a")], [1, 0, 0, 0x61]);
  for (const name of ["", "a", "vsock:2:1234", `/${"a".repeat(107)}`]) {
    assert.throws(() => socketAddress(name), Error, name);
  }
});

Deno.test("watchdogLimitMs() heeds what is meant for this process", () => {
  assert.equal(watchdogLimitMs({ WATCHDOG_USEC: "1500" }, 7), 1.5);
  const meant = { WATCHDOG_USEC: "1500", WATCHDOG_PID: "7" };
  assert.equal(watchdogLimitMs(meant, 7), 1.5);
  assert.equal(watchdogLimitMs(meant, 8), undefined);
  for (const WATCHDOG_USEC of ["", "0", "-1", "x"]) {
    assert.equal(watchdogLimitMs({ WATCHDOG_USEC }, 7), undefined);
  }
  assert.equal(watchdogLimitMs({}, 7), undefined);
});
