import assert from "node:assert/strict";
import {
  dialErrorText,
  listenErrorText,
  systemErrorText,
} from "../../lib/net/system_error.ts";

Deno.test("dialErrorText() words a real refusal as Go does", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await Deno.connect({ hostname: "127.0.0.1", port })
    .catch((error) => error);
  assert.equal(
    dialErrorText(`127.0.0.1:${port}`, error),
    `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  );
});

Deno.test("listenErrorText() words a real conflict as Go does", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  try {
    assert.throws(
      () => Deno.listen({ hostname: "127.0.0.1", port }),
      (error) => {
        assert.equal(
          listenErrorText("tcp", { host: "127.0.0.1", port }, error),
          `listen tcp 127.0.0.1:${port}: bind: address already in use`,
        );
        return true;
      },
    );
  } finally {
    listener.close();
  }
});

Deno.test("systemErrorText() leaves other messages as they are", () => {
  assert.equal(systemErrorText(new Error("No way")), "No way");
  assert.equal(systemErrorText("text"), "text");
});
