import assert from "node:assert/strict";
import { Syslog, SyslogError, syslogLine } from "../../lib/agent/syslog.ts";
import type { LogLevel } from "../../lib/kit/log.ts";

const now = () => new Date(2026, 10, 3, 4, 5, 6);

/** A log daemon of the test's own. */
async function withDaemon(
  use: (path: string, next: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/log`;
  const daemon = Deno.listenDatagram({ transport: "unixpacket", path });
  const next = async () => {
    const [bytes] = await daemon.receive(new Uint8Array(65_536));
    return new TextDecoder().decode(bytes);
  };
  try {
    await use(path, next);
  } finally {
    daemon.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("syslogLine() has facility, severity, time and process", () => {
  assert.equal(
    syslogLine({ priority: 134, at: now(), pid: 7, text: "agent: hello" }),
    "<134>Nov  3 04:05:06 serf[7]: agent: hello\n",
  );
});

Deno.test("a real daemon receives the lines of each level with its severity", async () => {
  await withDaemon(async (path, next) => {
    const syslog = await Syslog.open({
      facility: "local3",
      now,
      paths: ["/nonexistent/log", path],
    });
    assert.equal(await next(), "", "the question whether it listens");
    const severities: readonly (readonly [LogLevel, number])[] = [
      ["DEBUG", 7],
      ["INFO", 5],
      ["WARN", 4],
      ["ERR", 3],
    ];
    for (const [level, severity] of severities) {
      syslog.write(level, `serf: ${level}`);
      assert.equal(
        await next(),
        `<${
          19 * 8 + severity
        }>Nov  3 04:05:06 serf[${Deno.pid}]: serf: ${level}\n`,
      );
    }
    syslog.write("INFO", "x".repeat(20_000));
    assert.equal((await next()).length, 8_192);
    syslog.close();
  });
});

Deno.test("a daemon that does not read, or goes away, costs lines and nothing else", async () => {
  await withDaemon(async (path) => {
    const syslog = await Syslog.open({
      facility: "USER",
      now,
      paths: [path],
    });
    for (let i = 0; i < 5_000; i++) syslog.write("INFO", `line ${i}`);
    assert.ok(syslog.dropped >= 5_000 - 1_024 - 512, `${syslog.dropped}`);
    syslog.close();
  });
});

Deno.test("without a daemon, or with an unknown facility, it says so", async () => {
  await assert.rejects(
    Syslog.open({ facility: "LOCAL0", now, paths: [] }),
    new SyslogError("Unix syslog delivery error"),
  );
  await assert.rejects(
    Syslog.open({ facility: "LOCAL9", now }),
    new SyslogError("invalid syslog facility: LOCAL9"),
  );
});
