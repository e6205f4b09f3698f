/** SIGHUP, and which signals leave: an agent of ours and HashiCorp's do the same. */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type Kind,
  KINDS,
  testCluster,
} from "./harness.ts";

/** Plays the situation with both kinds; returns what came of it, if it is the same. */
async function withBoth<T>(play: (kind: Kind) => Promise<T>): Promise<T> {
  const [ours, theirs] = await Promise.all(KINDS.map(play)) as [T, T];
  assert.deepEqual(ours, theirs);
  return theirs;
}

/** An agent with a file of its own, which can be changed. */
class Reloadable {
  private constructor(
    readonly cluster: Cluster,
    readonly agent: Agent,
    readonly file: string,
  ) {}

  static async start(
    cluster: Cluster,
    kind: Kind,
    config: unknown,
  ): Promise<Reloadable> {
    const file = cluster.writeFile(
      `reload-${kind}-${crypto.randomUUID()}.json`,
      JSON.stringify(config),
    );
    const agent = await cluster.start({
      kind,
      name: "n1",
      logLevel: "",
      extraArgs: [`-config-file=${file}`],
    });
    return new Reloadable(cluster, agent, file);
  }

  /** Reloads with another file; returns what the agent says to it, without its log. */
  async reload(config: unknown, until: string): Promise<string> {
    const { agent, cluster } = this;
    // A line and its end may be read one after the other.
    await cluster.eventually(
      `${agent.kind} has finished its line`,
      () => agent.output.endsWith("\n"),
    );
    const before = agent.output.length;
    Deno.writeTextFileSync(
      this.file,
      typeof config === "string" ? config : JSON.stringify(config),
    );
    agent.signal("SIGHUP");
    const said = () => agent.output.slice(before);
    await cluster.eventually(
      `${agent.kind} says ${until}`,
      () => {
        const text = said();
        return text.includes(until) && text.endsWith("\n") || text;
      },
    );
    return said().replaceAll(/^ {4}\d{4}\/.*\n/gm, "")
      .replaceAll(this.file, "FILE");
  }

  async tags(): Promise<Record<string, string> | undefined> {
    return (await this.agent.members()).get("n1")?.Tags;
  }
}

testCluster("SIGHUP reloads, again and again", async (cluster) => {
  const story = await withBoth(async (kind) => {
    const node = await Reloadable.start(cluster, kind, {
      tags: { a: "1" },
      log_level: "debug",
    });
    const hasTags = (text: string) =>
      cluster.eventually(
        `${kind} has the tags ${text}`,
        async () => {
          const tags = JSON.stringify(await node.tags());
          return tags === text || tags;
        },
      );
    const said: string[] = [];
    await hasTags('{"a":"1"}');
    said.push(await node.reload({ tags: { b: "2" } }, "Reloading"));
    await hasTags('{"b":"2"}');
    said.push(await node.reload('{"tagz": {}, "x": 1}', "Failed to reload"));
    await hasTags('{"b":"2"}');
    said.push(
      await node.reload(
        { log_level: "nope", tags: { c: "3" } },
        "Invalid log level",
      ),
    );
    await hasTags('{"c":"3"}');
    said.push(
      await node.reload(
        { role: "x", tags: { d: "x".repeat(600) } },
        "Failed to update tags",
      ),
    );
    await hasTags('{"c":"3"}');
    said.push(await node.reload({ role: "web" }, "Deprecation"));
    await hasTags('{"role":"web"}');
    // What only we say, about the same mistakes.
    return said.join("").replaceAll(/^ {4}line .*\n/gm, "");
  });
  assert.equal(
    story,
    "==> Caught signal: hangup\n==> Reloading configuration...\n" +
      "==> Caught signal: hangup\n==> Reloading configuration...\n" +
      "==> Error decoding 'FILE': 1 error(s) decoding:\n\n" +
      "* '' has invalid keys: tagz, x\n==> Failed to reload configs\n" +
      "==> Caught signal: hangup\n==> Reloading configuration...\n" +
      "==> Invalid log level: NOPE. Valid log levels are: [TRACE DEBUG INFO WARN ERR]\n" +
      "==> Caught signal: hangup\n==> Reloading configuration...\n" +
      "==> Deprecation warning: 'Role' has been replaced with 'Tags'\n" +
      "==> Failed to update tags: Encoded length of tags exceeds limit of 512 bytes\n" +
      "==> Caught signal: hangup\n==> Reloading configuration...\n" +
      "==> Deprecation warning: 'Role' has been replaced with 'Tags'\n",
  );
}, { needs: ["serf"] });

/** Waits for the tags of an agent. */
function hasTags(node: Reloadable, text: string): Promise<unknown> {
  return node.cluster.eventually(`${node.agent.kind} has ${text}`, async () => {
    const tags = JSON.stringify(await node.tags());
    return tags === text || tags;
  });
}

testCluster("a reload of ours keeps a tags file", async (cluster) => {
  const path = cluster.writeFile("tags.json", '{"a":"1"}');
  const config = { tags_file: path };
  const node = await Reloadable.start(cluster, "ours", config);
  await hasTags(node, '{"a":"1"}');
  await node.agent.succeed("hashicorp", "tags", ["-set", "b=2"]);
  await hasTags(node, '{"a":"1","b":"2"}');
  await node.reload(config, `agent: Reload keeps the tags of ${path}: a, b`);
  const written = '{\n  "a": "1",\n  "b": "2"\n}';
  assert.equal(await Deno.readTextFile(path), written);
  await hasTags(node, '{"a":"1","b":"2"}');
  // Somebody edits it, and then adds tags to the settings as well.
  await Deno.writeTextFile(path, '{"c":"3"}');
  await node.reload(config, `${path} was changed by somebody else`);
  await hasTags(node, '{"c":"3"}');
  await node.reload({ ...config, tags: { d: "4" } }, "Failed to update tags");
  assert.equal(await Deno.readTextFile(path), '{"c":"3"}');
  // No file, no tags lost.
  await Deno.remove(path);
  await node.reload(config, "agent: Reload keeps the tags of");
  await hasTags(node, '{"c":"3"}');
  assert.equal(await Deno.readTextFile(path), '{\n  "c": "3"\n}');
  // What is no tags file is not overwritten, neither by a command.
  await Deno.writeTextFile(path, "{oops");
  await node.reload(
    config,
    "Failed to update tags: Failed to decode tags file",
  );
  const refused = await node.agent.command("hashicorp", "tags", [
    "-set",
    "e=5",
  ]);
  assert.equal(refused.code, 1);
  assert.equal(await Deno.readTextFile(path), "{oops");
  await hasTags(node, '{"c":"3"}');
}, { needs: ["serf"] });

testCluster(
  "a reload of ours keeps what `serf tags` has changed",
  async (cluster) => {
    const node = await Reloadable.start(cluster, "ours", {
      tags: { a: "1", b: "1", c: "1" },
    });
    await node.agent.succeed("hashicorp", "tags", [
      ...["-set", "a=2", "-set", "d=2"],
      ...["-delete", "c"],
    ]);
    await hasTags(node, '{"a":"2","b":"1","d":"2"}');
    await node.reload(
      { tags: { a: "3", b: "3", c: "3" } },
      "agent: Reload keeps what 'serf tags' has changed: set: a, d; deleted: c",
    );
    await hasTags(node, '{"a":"2","b":"3","d":"2"}');
  },
  { needs: ["serf"] },
);

testCluster("a reload changes the log level", async (cluster) => {
  await withBoth(async (kind) => {
    const node = await Reloadable.start(cluster, kind, { log_level: "err" });
    const { agent } = node;
    const debugLines = async (event: string) => {
      await agent.succeed("hashicorp", "event", [event]);
      return agent.output.includes(`Requesting user event send: ${event}.`);
    };
    assert.equal(await debugLines("before"), false);
    await node.reload({ log_level: "debug" }, "Reloading");
    await cluster.eventually(
      `${kind} shows debug lines`,
      () => debugLines("after"),
    );
    return true;
  });
}, { needs: ["serf"] });

testCluster("a reload of ours names what has to wait", async (cluster) => {
  const node = await Reloadable.start(cluster, "ours", {});
  const said = await node.reload(
    { profile: "wan", start_join: ["10.0.0.1"], tags: { a: "b" } },
    "after a restart",
  );
  assert.equal(
    said.split("\n").at(-2),
    "==> Changed, but used only after a restart: profile, start_join",
  );
});

testCluster(
  "signals leave, or do not, as the file says at the moment",
  async (cluster) => {
    const ends = await withBoth(async (kind) => {
      const outcome: string[] = [];
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        for (const isReloaded of [false, true]) {
          const settings = {
            leave_on_terminate: true,
            skip_leave_on_interrupt: true,
          };
          const node = await Reloadable.start(
            cluster,
            kind,
            isReloaded ? { tags: { a: "1" } } : settings,
          );
          if (isReloaded) {
            await node.reload(settings, "Reloading");
            await cluster.eventually(
              "the reload is over",
              async () => JSON.stringify(await node.tags()) === "{}",
            );
          }
          await node.agent.closeRpc();
          node.agent.signal(signal);
          const { code } = await cluster.exitOf(node.agent);
          const isLeaving = node.agent.output.includes("Gracefully shutting");
          outcome.push(`${signal} ${code} ${isLeaving ? "leaves" : "stays"}`);
        }
      }
      return outcome;
    });
    assert.deepEqual(ends, [
      "SIGTERM 0 leaves",
      "SIGTERM 0 leaves",
      "SIGINT 1 stays",
      "SIGINT 1 stays",
    ]);
  },
  { needs: ["serf"] },
);
