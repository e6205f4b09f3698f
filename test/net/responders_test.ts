import assert from "node:assert/strict";
import { ReceivedQuery } from "../../lib/net/node_event.ts";
import { Responders } from "../../lib/net/responders.ts";
import { utf8Text } from "../../lib/kit/bytes.ts";
import { queryEvent } from "../rpc/fake_target.ts";
import { until } from "./deadline.ts";

/** A table of responders, what was answered, and what was reported. */
function desk() {
  const answers: string[] = [];
  const reports: string[] = [];
  const responders = new Responders((text) => reports.push(text));
  const ask = (name: string, sourceNode = "n1") =>
    responders.handle(
      new ReceivedQuery(
        queryEvent({ name, sourceNode }),
        (_, payload) => answers.push(utf8Text(payload)),
      ),
    );
  return { responders, answers, reports, ask };
}

Deno.test("a responder that knows the answer gives it at once", () => {
  const { responders, answers, ask } = desk();
  responders.add("load", (query) => `${query.name} for ${query.from}`);
  ask("load");
  ask("other");
  assert.deepEqual(answers, ["load for n1"]);
});

Deno.test("a responder may take its time, give bytes, or say nothing", async () => {
  const { responders, answers, reports, ask } = desk();
  const gate = Promise.withResolvers<string>();
  responders.add("slow", () => gate.promise);
  responders.add("bytes", () => Uint8Array.of(0x61));
  responders.add("silent", () => undefined);
  responders.add("empty", () => "");
  for (const name of ["slow", "bytes", "silent", "empty"]) ask(name);
  assert.deepEqual(answers, ["a", ""]);
  gate.resolve("at last");
  await until("the slow answer", () => answers.includes("at last"));
  assert.deepEqual(reports, []);
});

Deno.test("the failure of a responder is reported and answers nothing", async () => {
  const { responders, answers, reports, ask } = desk();
  responders.add("throws", () => {
    throw new Error("no sensor");
  });
  responders.add("rejects", () => Promise.reject("odd"));
  ask("throws");
  ask("rejects", "n2");
  await until("the rejection", () => reports.length === 2);
  assert.deepEqual(answers, []);
  assert.deepEqual(reports, [
    'Query "throws" of n1 was not answered: no sensor',
    'Query "rejects" of n2 was not answered: odd',
  ]);
});

Deno.test("a name has one responder at a time", () => {
  const { responders, answers, ask } = desk();
  const remove = responders.add("load", () => "1");
  assert.throws(() => responders.add("load", () => "2"), {
    name: "StateError",
    message: 'A responder for "load" is there already',
  });
  ask("load");
  remove();
  ask("load");
  const two = () => "2";
  responders.add("load", two)();
  const removeFirst = responders.add("load", two);
  removeFirst();
  responders.add("load", two);
  remove();
  removeFirst();
  ask("load");
  assert.deepEqual(answers, ["1", "2"], "an old hand does not remove the new");
});

Deno.test("no more than 1024 answers are worked at", async () => {
  const { responders, answers, reports, ask } = desk();
  const gate = Promise.withResolvers<string>();
  responders.add("slow", () => gate.promise);
  for (let i = 0; i < 1_030; i++) ask("slow");
  assert.deepEqual(reports, [
    'Query "slow" of n1 is not answered: 1024 answers are under way',
  ]);
  gate.resolve("done");
  await until("the answers", () => answers.length === 1_024);
  ask("slow");
  await until("one more", () => answers.length === 1_025);
});
