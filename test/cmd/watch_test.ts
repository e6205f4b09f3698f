import assert from "node:assert/strict";
import { watch } from "../../cmd/watch.ts";
import { until } from "../net/deadline.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** Watches a text that changes, and says how it ended. */
function watching(format: string, texts: string[], isTerminal = false) {
  const terminal = new FakeTerminal();
  terminal.isTerminal = isTerminal;
  let looks = 0;
  const ended = watch({
    terminal,
    format,
    pauseMs: 1,
    render: () => {
      looks++;
      const text = texts.length > 1 ? texts.shift() : texts[0];
      return Promise.resolve(text ?? "");
    },
  });
  return { terminal, ended, looks: () => looks };
}

Deno.test("watch() prints what has changed, and only that, until interrupted", async () => {
  const { terminal, ended, looks } = watching("text", ["a\n", "a\n", "b\n"]);
  await until("it looks", () => looks() > 5);
  terminal.interrupt();
  assert.equal(await ended, 0);
  assert.equal(terminal.stdout, "a\n\nb\n");
  assert.equal(terminal.isListening, false);
});

Deno.test("watch() puts the new text in the place of the old one on a terminal", async () => {
  const { terminal, ended, looks } = watching("text", ["a\n", "b\n"], true);
  await until("it looks", () => looks() > 2);
  terminal.interrupt();
  await ended;
  assert.equal(terminal.stdout, "\x1b[H\x1b[2Ja\n\x1b[H\x1b[2Jb\n");
});

Deno.test("watch() prints JSON as one document after the other", async () => {
  const { terminal, ended, looks } = watching("json", ["1\n", "2\n"], true);
  await until("it looks", () => looks() > 2);
  terminal.interrupt();
  await ended;
  assert.equal(terminal.stdout, "1\n2\n");
});

Deno.test("watch() ends with what rendering throws", async () => {
  const terminal = new FakeTerminal();
  await assert.rejects(
    watch({
      terminal,
      format: "text",
      render: () => Promise.reject(new Error("client closed")),
    }),
    /client closed/,
  );
  assert.equal(terminal.isListening, false);
});
