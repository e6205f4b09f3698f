import assert from "node:assert/strict";
import { encodeMembersBody } from "../../lib/rpc/response.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import { MsgpackWriter } from "../../lib/wire/msgpack_writer.ts";
import { member } from "./fake_target.ts";

Deno.test("RpcWriter writes a list of members without the platform's text encoder", () => {
  // A call of it costs as much as ten short texts, and a member has thirty.
  const { encode } = TextEncoder.prototype;
  const members = [member("n1", { tags: { role: "web", dc: "east" } })];
  const expected = encodeMembersBody(members);
  TextEncoder.prototype.encode = () => assert.fail("a short text is encoded");
  try {
    assert.deepEqual(encodeMembersBody(members), expected);
  } finally {
    TextEncoder.prototype.encode = encode;
  }
});

Deno.test("RpcWriter writes texts as gossip does, save those of 32 to 255 bytes", () => {
  const texts = ["", "a", "é", "x".repeat(31), "é".repeat(16), "x".repeat(255)];
  for (const text of [...texts, "x".repeat(256), "é".repeat(40_000)]) {
    const bytes = new TextEncoder().encode(text);
    const written = new RpcWriter().text(text).finish();
    if (bytes.length < 32 || bytes.length > 255) {
      assert.deepEqual(written, new MsgpackWriter().text(text).finish());
    } else {
      assert.deepEqual(written, Uint8Array.of(0xd9, bytes.length, ...bytes));
    }
  }
});
