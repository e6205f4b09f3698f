/**
 * The example configurations, with their directories moved to one of the test's,
 * where there is what `docs/service.md` tells to put there.
 */

import assert from "node:assert/strict";
import { testCluster } from "../e2e/harness.ts";
import { filesBelow, read, scratch, serf } from "./tools.ts";

const STATE = "/var/lib/serf";

/** The example with its paths in `folder`. */
function moved(path: string, folder: string): string {
  return read(path).replaceAll(STATE, folder);
}

for (const path of filesBelow("packaging/config")) {
  Deno.test(`${path} passes serf agent -check`, async () => {
    using folder = scratch();
    const { stdout: key } = await serf("keygen");
    Deno.writeTextFileSync(
      `${folder.path}/keyring.json`,
      `["${key.trimEnd()}"]\n`,
    );
    const file = `${folder.path}/example.json`;
    Deno.writeTextFileSync(file, moved(path, folder.path));
    const { code, stdout } = await serf(
      ...["agent", "-check", `-config-file=${file}`],
    );
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^==> The configuration is valid$/m);
    // It would also be valid if it said nothing.
    assert.ok(stdout.includes(file), stdout);
  });
}

Deno.test("the examples are those that docs/service.md explains", () => {
  const explained = [...read("docs/service.md").matchAll(/^\| `(\w+\.json)`/gm)]
    .map(([, name]) => `packaging/config/${name}`);
  assert.deepEqual(
    [...explained, "packaging/config/service.json"].sort(),
    filesBelow("packaging/config"),
  );
});

Deno.test("the paths of the project in docs/service.md exist", () => {
  const known = filesBelow("packaging");
  const named = read("docs/service.md").matchAll(/packaging[\\/][\w.\\/-]*\w/g);
  for (const [name] of named) {
    const path = name.replaceAll("\\", "/");
    assert.ok(
      known.some((file) => file === path || file.startsWith(`${path}/`)),
      name,
    );
  }
});

testCluster(
  "with service.json an agent leaves on SIGTERM, and ends with 0",
  async (cluster) => {
    const state = cluster.writeFile("state/here", "").replace(/\/here$/, "");
    const file = cluster.writeFile(
      "serf.json",
      moved("packaging/config/service.json", state),
    );
    const agent = await cluster.start({
      kind: "ours",
      name: "service",
      extraArgs: [`-config-file=${file}`],
    });
    agent.signal("SIGTERM");
    const { code } = await cluster.exitOf(agent);
    assert.equal(code, 0);
    assert.match(agent.output, /Gracefully shutting down agent/);
    assert.match(Deno.readTextFileSync(`${state}/snapshot`), /^leave$/m);
  },
);
