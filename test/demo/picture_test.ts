import assert from "node:assert/strict";
import { renderPicture } from "../../demo/picture.ts";

Deno.test("renderPicture() shows each frame in its time, the last one where nothing moves", () => {
  const picture = renderPicture([
    { text: "$ serf\nn1  alive", seconds: 1 },
    { text: "a < b & c\nn1  failed", seconds: 3 },
  ]);
  assert.match(picture, /^<svg [^>]*>/);
  assert.match(picture, /<\/svg>\n$/);
  assert.match(
    picture,
    /f0 \{ 0% \{ opacity: 1 \} 0.00% .* 25.00% \{ opacity: 0/,
  );
  assert.match(picture, /f1 \{ 0% \{ opacity: 0 \} 25.00% .* 100.00% \{/);
  assert.match(picture, /\.f0 \{ opacity: 0;/);
  assert.match(picture, /\.f1 \{ opacity: 1;/);
  assert.match(picture, /<tspan fill="#7ee787">alive<\/tspan>/);
  assert.match(picture, /a &lt; b &amp; c/);
  assert.equal(picture.match(/<g /g)?.length, 2);
});
