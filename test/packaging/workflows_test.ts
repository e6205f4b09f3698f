/** The workflows for the forge: whether they are what its runners take. */

import assert from "node:assert/strict";
import { parse as parseYaml } from "yaml";
import { TARGETS } from "../../build/native.ts";
import { filesBelow, read } from "./tools.ts";

interface Workflow {
  readonly on: Record<string, { readonly tags?: string[] } | null>;
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, {
    readonly permissions?: Record<string, string>;
    readonly strategy?: {
      readonly matrix: { readonly include: { target: string }[] };
    };
    readonly steps: {
      readonly uses?: string;
      readonly run?: string;
      readonly with?: Record<string, string>;
    }[];
  }>;
}

Deno.test("the workflows are YAML, with few permissions and fixed versions", () => {
  const paths = filesBelow(".github/workflows");
  assert.equal(paths.length, 2);
  const [, version] = /^readonly DENO_VERSION=(.*)$/m.exec(read(".ci/run")) ??
    [];
  for (const path of paths) {
    const workflow = parseYaml(read(path), { strict: true }) as Workflow;
    assert.deepEqual(workflow.permissions, { contents: "read" }, path);
    for (const { steps } of Object.values(workflow.jobs)) {
      for (const { uses, run, with: inputs } of steps) {
        assert.ok((uses === undefined) !== (run === undefined), path);
        if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+$/);
        if (uses?.startsWith("denoland/")) {
          assert.equal(inputs?.["deno-version"], version);
        }
      }
    }
    assert.ok(!read(path).includes("secrets."), path);
  }
});

Deno.test("the workflow for releases builds and tries all targets", () => {
  const { on, jobs } = parseYaml(
    read(".github/workflows/release.yml"),
  ) as Workflow;
  assert.deepEqual(on["push"]?.tags, ["v*"]);
  const { build, publish } = jobs;
  assert.deepEqual(
    build?.strategy?.matrix.include.map(({ target }) => target).sort(),
    Object.keys(TARGETS).sort(),
  );
  assert.equal(build?.permissions, undefined);
  assert.deepEqual(publish?.permissions, { contents: "write" });
  const runs = Object.values(jobs).flatMap(({ steps }) =>
    steps.flatMap(({ run }) => run ?? [])
  ).join("\n");
  // What is called there is there.
  for (const [, file = ""] of runs.matchAll(/deno run -A (\S+)/g)) read(file);
  const { tasks } = JSON.parse(read("deno.json"));
  assert.match(runs, /deno task compile /);
  assert.match(runs, /deno task release /);
  assert.ok("release" in tasks);
});
