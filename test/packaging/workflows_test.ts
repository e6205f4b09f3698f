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
    for (const [line] of read(path).matchAll(/^.*uses: .*$/gm)) {
      assert.match(line, /# v\d+\.\d+\.\d+$/, "says which version it is");
    }
    for (const [, image = ""] of read(path).matchAll(/container: (.*)$/gm)) {
      assert.match(image, /@sha256:[\da-f]{64}$/);
    }
    const workflow = parseYaml(read(path), { strict: true }) as Workflow;
    assert.deepEqual(workflow.permissions, { contents: "read" }, path);
    for (const { steps } of Object.values(workflow.jobs)) {
      for (const { uses, run, with: inputs } of steps) {
        assert.ok((uses === undefined) !== (run === undefined), path);
        // By commit: whoever may move a tag could put other code under it.
        if (uses !== undefined) {
          assert.match(uses, /^[\w-]+\/[\w-]+@[\da-f]{40}$/);
        }
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
  assert.deepEqual(publish?.permissions, {
    "contents": "write",
    "id-token": "write",
    "attestations": "write",
  });
  const signed = publish?.steps.flatMap(({ uses, with: inputs }) =>
    uses?.startsWith("actions/attest-") ? [inputs?.["subject-path"]] : []
  );
  assert.deepEqual(signed, [
    "dist/release/*",
    "dist/release/*.tar.gz\ndist/release/*.zip\n",
  ]);
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

Deno.test("the Deno that checks and builds is fixed by hashes, from any registry", () => {
  const { dependencies } = JSON.parse(read("build/deno/package.json"));
  const [, version] = /^readonly DENO_VERSION=(.*)$/m.exec(read(".ci/run")) ??
    [];
  assert.deepEqual(dependencies, { deno: version });
  const { packages } = JSON.parse(
    read("build/deno/package-lock.json"),
  ) as { packages: Record<string, Record<string, string>> };
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "") continue;
    assert.equal(entry["version"], version, path);
    assert.match(entry["integrity"] ?? "", /^sha512-/, path);
    assert.equal(entry["resolved"], undefined, path);
  }
  assert.ok("node_modules/deno" in packages);
});
