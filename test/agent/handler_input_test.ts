/**
 * What scripts are told, against everything that scripts of the original wrote
 * down in one recorded cluster.
 */

import assert from "node:assert/strict";
import {
  handlerEnvironment,
  handlerInput,
} from "../../lib/agent/handler_input.ts";
import { bytesOfHex, utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import type { SerfEvent } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import { member, queryEvent } from "../rpc/fake_target.ts";

interface RecordedRun {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin_hex: string;
}

const { invocations: RUNS } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/handlers.json", import.meta.url),
  ),
) as { invocations: readonly RecordedRun[] };

/** The cluster of the recordings; `about` in the file describes it. */
const TAGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  h1: {
    role: "lb",
    "my-Tag.2": "v 1",
    "tab\there": "a\tb\nc",
    "x y": "sp",
    "2num": "n",
    "ünï": "ö",
  },
  h2: { role: "web", k: "v,w=z", v: "2" },
  h3: { role: "tab\there" },
};
const IPS: Readonly<Record<string, string>> = {
  h1: "127.0.0.51",
  h2: "127.0.0.52",
  h3: "127.0.0.53",
};

/** A member with its tags in the order in which a recorded line has them. */
function recordedMember(line: string): Member {
  const [name = "", , , shown = ""] = line.split("\t");
  const place = (tag: string) =>
    shown.indexOf(`${tag.replaceAll("\t", "\\t")}=`);
  const tags = Object.entries(TAGS[name] ?? {})
    .filter(([tag]) => place(tag) >= 0)
    .sort(([a], [b]) => place(a) - place(b));
  return member(name, {
    ip: IPS[name] ?? "",
    tags: Object.fromEntries(tags),
  });
}

/** The event behind a recorded run. */
function recordedEvent({ env, stdin_hex }: RecordedRun): SerfEvent {
  const type = env.SERF_EVENT as SerfEvent["type"];
  const input = bytesOfHex(stdin_hex);
  // Whether the newline was in the payload cannot be told, and does not matter.
  const payload = input.subarray(0, -1);
  switch (type) {
    case "user":
      return {
        type,
        name: env.SERF_USER_EVENT ?? "",
        ltime: BigInt(env.SERF_USER_LTIME ?? ""),
        payload,
        coalesce: false,
      };
    case "query":
      return queryEvent({
        name: env.SERF_QUERY_NAME ?? "",
        ltime: BigInt(env.SERF_QUERY_LTIME ?? ""),
        payload,
      });
    default: {
      const lines = utf8Text(input).split("\n").slice(0, -1);
      return { type, members: lines.map(recordedMember) };
    }
  }
}

Deno.test("every recorded run would get the same environment and input", () => {
  const self = member("h1", { tags: TAGS.h1 ?? {} });
  const counts: Record<string, number> = {};
  for (const run of RUNS) {
    const event = recordedEvent(run);
    assert.deepEqual({ ...handlerEnvironment(event, self) }, run.env);
    assert.deepEqual(handlerInput(event), bytesOfHex(run.stdin_hex));
    counts[event.type] = (counts[event.type] ?? 0) + 1;
  }
  assert.deepEqual(counts, {
    "member-join": 2,
    "member-update": 6,
    "member-failed": 2,
    "member-reap": 2,
    "member-leave": 2,
    user: 32,
    query: 4,
  });
});

Deno.test("handlerInput() ends payloads with one newline, but not empty ones", () => {
  const input = (payload: string) => {
    const bytes = utf8Bytes(payload);
    const user: SerfEvent = {
      type: "user",
      name: "x",
      ltime: 1n,
      payload: bytes,
      coalesce: false,
    };
    const query = queryEvent({ payload: bytes });
    assert.deepEqual(handlerInput(user), handlerInput(query));
    return utf8Text(handlerInput(user));
  };
  assert.equal(input(""), "");
  assert.equal(input("v1"), "v1\n");
  assert.equal(input("v1\n"), "v1\n");
  assert.equal(input("v1\n\n"), "v1\n\n");
  assert.equal(input("v1\r"), "v1\r\n");
  assert.equal(input("\n"), "\n");
});

Deno.test("handlerInput() keeps lines and fields of members apart", () => {
  const line = (name: string, tags: Record<string, string>) =>
    utf8Text(handlerInput({
      type: "member-join",
      members: [member(name, { ip: "::1", tags })],
    }));
  assert.equal(line("n", {}), "n\t::1\t\t\n");
  assert.equal(line("a\tb\n", {}), "a\\tb\\n\t::1\t\t\n");
  assert.equal(line("a\\tb", { x: "\\" }), "a\\tb\t::1\t\tx=\\\n");
  assert.equal(line("n", { role: "", b: "" }), "n\t::1\t\trole=,b=\n");
  assert.equal(
    utf8Text(handlerInput({ type: "member-reap", members: [] })),
    "",
  );
});

Deno.test("handlerEnvironment() makes one character of a variable from each of a tag", () => {
  const variable = (tag: string) => {
    const self = member("n", { tags: { [tag]: "v" } });
    const names = Object.keys(
      handlerEnvironment({ type: "member-join", members: [] }, self),
    );
    return names.find((name) => name.startsWith("SERF_TAG_"));
  };
  assert.equal(variable("a-b.c"), "SERF_TAG_A_B_C");
  assert.equal(variable("ünï"), "SERF_TAG__N_");
  assert.equal(variable("_x9"), "SERF_TAG__X9");
  assert.equal(variable("😀"), "SERF_TAG__");
  assert.equal(variable(""), "SERF_TAG_");
  // Go's upper case goes character by character: no SS, no FI, but I and S.
  assert.equal(variable("ß"), "SERF_TAG__");
  assert.equal(variable("ﬁ"), "SERF_TAG__");
  assert.equal(variable("ı"), "SERF_TAG_I");
  assert.equal(variable("ſ"), "SERF_TAG_S");
  assert.equal(variable("\u212a"), "SERF_TAG__");
});

Deno.test("handlerEnvironment() has the role, or nothing, and times of 64 bits", () => {
  const event = queryEvent({ name: "q", ltime: 2n ** 64n - 1n });
  assert.deepEqual({ ...handlerEnvironment(event, member("n")) }, {
    SERF_EVENT: "query",
    SERF_SELF_NAME: "n",
    SERF_SELF_ROLE: "",
    SERF_QUERY_NAME: "q",
    SERF_QUERY_LTIME: "18446744073709551615",
  });
});
