import assert from "node:assert/strict";
import { forgetSteering, STEERING_VARIABLES } from "../../build/steering.ts";

Deno.test("head.sh sets and keeps the variables that are forgotten", () => {
  const head = Deno.readTextFileSync(
    new URL("../../build/head.sh", import.meta.url),
  );
  for (const name of STEERING_VARIABLES) {
    assert.match(head, new RegExp(`export .*${name}=`));
    assert.ok(head.includes(`SERF_KEPT_${name}="$${name}"`), name);
  }
});

Deno.test("forgetSteering() brings back what there was before", () => {
  const names = STEERING_VARIABLES.flatMap((name) => [
    name,
    `SERF_KEPT_${name}`,
  ]);
  const before = new Map(names.map((name) => [name, Deno.env.get(name)]));
  try {
    for (const name of STEERING_VARIABLES) Deno.env.set(name, "ours");
    Deno.env.set("SERF_KEPT_DENO_DIR", "/theirs");
    Deno.env.set("SERF_KEPT_DENO_NO_UPDATE_CHECK", "");
    forgetSteering();
    const after = names.map((name) => [name, Deno.env.get(name)]);
    assert.deepEqual(Object.fromEntries(after), {
      DENO_DIR: "/theirs",
      DENO_DISABLE_NODE_SHIM: undefined,
      DENO_NO_UPDATE_CHECK: "",
      SERF_KEPT_DENO_DIR: undefined,
      SERF_KEPT_DENO_DISABLE_NODE_SHIM: undefined,
      SERF_KEPT_DENO_NO_UPDATE_CHECK: undefined,
    });
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
