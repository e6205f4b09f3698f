/** The words for faults, and the trend of the soak: what needs no agents. */

import assert from "node:assert/strict";
import { recipeOf } from "./fault.ts";
import { riseOf } from "./soak.ts";

const OPTIONS = { table: "t", spared: "10.0.0.254" };

function scriptOf(words: string): string {
  const recipe = recipeOf(words, OPTIONS);
  assert.equal(recipe.tool, "nft");
  return recipe.tool === "nft" ? recipe.script : "";
}

Deno.test("recipeOf() turns words into rules that spare the tests' address", () => {
  assert.equal(
    scriptOf("block udp to 10.0.0.2 10.0.0.3"),
    `table ip t {
counter hits {}
chain output { type filter hook output priority 0;
oifname eth0 ip daddr != 10.0.0.254 ip daddr { 10.0.0.2, 10.0.0.3 } meta l4proto udp counter name hits drop
}
chain input { type filter hook input priority 0;
}
}
`,
  );
  assert.match(scriptOf("loss 25%"), /random mod 1000 < 250 .* drop/);
  assert.match(scriptOf("duplicate 5%"), /< 50 .* dup to ip daddr/);
  assert.equal(scriptOf("corrupt 20%").match(/< 50 @th/g)?.length, 4);
  assert.match(scriptOf("refuse tcp"), /reject with tcp reset/);
  assert.equal(scriptOf("block all").match(/\{ tcp, udp \}/g)?.length, 2);
});

Deno.test("recipeOf() leaves delay to netem, which alone can do it", () => {
  assert.deepEqual(recipeOf("delay 100ms 40ms", OPTIONS), {
    tool: "tc",
    netem: "delay 100ms 40ms",
  });
});

Deno.test("recipeOf() refuses words that say nothing known", () => {
  const words = [
    ...["", "loss", "loss 0%", "loss 101%", "loss 5", "break all", "block"],
    ...["block sctp", "block udp at 10.0.0.1", "refuse udp"],
  ];
  for (const each of words) {
    assert.throws(() => recipeOf(each, OPTIONS), SyntaxError, each);
  }
});

Deno.test("riseOf() is what a straight line rises by", () => {
  assert.equal(riseOf([]), 0);
  assert.equal(riseOf([5]), 0);
  assert.equal(riseOf([3, 3, 3]), 0);
  assert.equal(riseOf([1, 2, 3, 4]), 3);
  assert.ok(riseOf([9, 1, 9, 1, 9, 1]) < 0);
  const noisy = Array.from({ length: 60 }, (_, i) => 80 + i / 6 + i * 7 % 5);
  assert.ok(Math.abs(riseOf(noisy) - 9.8) < 1);
});
