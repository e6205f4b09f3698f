/**
 * Texts that people and their programs write: configuration, tags, handlers,
 * addresses, durations, expressions; and the packets of discovery. Their readers
 * refuse with errors of their own, which count as refusals here.
 */

import assert from "node:assert/strict";
import { decodeConfig } from "../../lib/agent/config_file.ts";
import {
  HandlerSpecError,
  parseHandler,
} from "../../lib/agent/handler_spec.ts";
import { OutputTail } from "../../lib/agent/output_tail.ts";
import { decodeTagsFile } from "../../lib/agent/tags_file.ts";
import { parseIp, splitHostPort } from "../../lib/kit/address.ts";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { parseDuration } from "../../lib/kit/duration.ts";
import { compileExpression } from "../../lib/kit/re2.ts";
import {
  answerTo,
  encodeServiceQuestion,
  endpointsIn,
} from "../../lib/net/mdns_message.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import type { FuzzTarget } from "./target.ts";

const CONFIG = `{
  "node_name": "n1", "role": "lb", "tags": { "dc": "east", "é": "\\u00e9" },
  "bind": "127.0.0.1:7946", "encrypt_key": "AAECAwQFBgcICQoLDA0ODw==",
  "event_handlers": ["a.sh", "user:deploy=b.sh",
    { "filter": "query:load", "script": "c", "timeout": "2s", "on_full": "drop" }],
  "start_join": ["10.0.0.1", "[::1]:7946"], "retry_interval": "1m30s",
  "protocol": 5, "replay_on_join": true, "rejoin_after_leave": null,
  "reconnect_timeout": "24h", "query_size_limit": 1024, "mdns": { "iface": "lo" }
}`;

const OUTPUT_BYTES_MAX = 1_000;

const SERVICE = {
  cluster: "vec",
  instance: "d1",
  hostName: "h0",
  ip: "127.0.0.1",
  port: 7946,
};

function texts(...given: string[]): () => Uint8Array[] {
  return () => given.map(utf8Bytes);
}

/** A reader of texts that refuses with errors of these kinds. */
function reader(
  name: string,
  seeds: () => Uint8Array[],
  // deno-lint-ignore no-explicit-any -- the parameters of a constructor are its own
  refusals: readonly (abstract new (...args: any[]) => Error)[],
  read: (text: string) => unknown,
): FuzzTarget {
  return {
    name,
    seeds,
    run(bytes) {
      try {
        read(utf8Text(bytes));
      } catch (cause) {
        if (!refusals.some((kind) => cause instanceof kind)) throw cause;
        // A subclass that signals a mistake of ours must not pass for a refusal.
        const { name, message } = cause as Error;
        assert.notEqual(name, "AssertionError");
        throw new WireError("badValue", message, { cause });
      }
    },
  };
}

export const TEXT_TARGETS: readonly FuzzTarget[] = [
  reader(
    "agent/decodeConfig",
    texts(CONFIG, "{}", "[]", '{"tags":{"a":1}} x', '{"bind":'),
    [],
    (text) => {
      const { problem } = decodeConfig(text);
      if (problem !== undefined) throw new WireError("badValue", problem);
    },
  ),
  reader(
    "agent/decodeTagsFile",
    texts('{"role":"lb","dc":"\\ud83d\\ude00"}', "null", "{}", '{"a":1}'),
    [SyntaxError, TypeError],
    (text) => {
      for (const [name, value] of decodeTagsFile(text)) {
        assert.equal(typeof name + typeof value, "stringstring");
      }
    },
  ),
  reader(
    "agent/parseHandler",
    texts("a.sh", "user:deploy=b", "*=c", "member-join,query:x=d=e", "x=y"),
    [HandlerSpecError],
    parseHandler,
  ),
  {
    name: "agent/OutputTail",
    seeds: texts("a line\n", "é".repeat(3_000), "x".repeat(4_096)),
    run(bytes) {
      const tail = new OutputTail(OUTPUT_BYTES_MAX);
      const third = Math.ceil(bytes.length / 3);
      for (let at = 0; at < bytes.length; at += third) {
        tail.push(bytes.subarray(at, at + third));
      }
      assert.deepEqual(tail.toBytes(), bytes.slice(-OUTPUT_BYTES_MAX));
      assert.equal(tail.bytesTotal, bytes.length);
    },
  },
  reader(
    "kit/splitHostPort",
    texts("127.0.0.1:7946", "[::1]:1", "[fe80::1%eth0]:80", "h:", ":9"),
    [SyntaxError, RangeError],
    (text) => {
      const { host, port } = splitHostPort(text);
      assert.ok(port >= 0 && port <= 65_535);
      parseIp(host);
    },
  ),
  reader(
    "kit/parseDuration",
    texts("1h2m3.5s", "-5ms", "0", "1.5us", "9223372036854775807ns"),
    [SyntaxError, RangeError],
    (text) => assert.ok(Number.isFinite(parseDuration(text))),
  ),
  reader(
    "kit/compileExpression",
    texts("web.*", "^(a|b)+[[:alpha:]]{2,5}$", "\\pL\\Q*\\E", "(?i)x??", "[a-"),
    [SyntaxError],
    (text) => compileExpression(text)("a web of b's"),
  ),
  {
    name: "net/endpointsIn and answerTo",
    seeds: () => [
      encodeServiceQuestion("vec", 1),
      answerTo(encodeServiceQuestion("vec", 1), SERVICE) ?? new Uint8Array(),
    ],
    run(bytes) {
      assert.ok(endpointsIn(bytes, "vec").length <= 4_096);
      const answer = answerTo(bytes, SERVICE);
      assert.ok((answer?.length ?? 0) <= 65_536);
    },
  },
];
