/**
 * The control port: clients that have yet to show a token, and clients that may
 * give commands, each with many requests of one kind.
 */

import { concatBytes } from "../../../lib/kit/bytes.ts";
import {
  EXPRESSION_SIZE_MAX,
  expressionSize,
} from "../../../lib/kit/expression.ts";
import type { Random } from "../../../lib/kit/random.ts";
import {
  encodeAuth,
  encodeHandshake,
  encodeMemberFilter,
  encodeMonitor,
  encodeStop,
  encodeStream,
} from "../../../lib/rpc/client_bodies.ts";
import { ClientSession } from "../../../lib/rpc/client_session.ts";
import { filterMembers } from "../../../lib/rpc/member_filter.ts";
import {
  type AgentRequest,
  ServerSession,
} from "../../../lib/rpc/server_session.ts";
import { member } from "../../rpc/fake_target.ts";
import { EXPRESSIONS, pick } from "./messages.ts";
import { Tally } from "./tally.ts";
import type { PreparedAttack, WorkTarget } from "./work.ts";

const TOKEN = "s3cret";
const MEMBERS = [member("n1"), member("n2")];

type Call = readonly [command: string, body?: Uint8Array];

/** Requests as a client writes them. */
function written(calls: readonly Call[]): Uint8Array {
  const session = new ClientSession();
  return concatBytes(
    calls.map(([command, body]) =>
      session.startRequest(command, "none", body).bytes
    ),
  );
}

/** What is said again and again. */
function drawCall(random: Random): readonly [string, (i: number) => Call] {
  const filters = pick(random, [0, 1, 60, 400]);
  const expression = pick(random, EXPRESSIONS);
  return pick<readonly [string, (i: number) => Call]>(random, [
    ["members", () => ["members"]],
    ["a command that does not exist", () => ["x"]],
    ["handshakes", () => ["handshake", encodeHandshake()]],
    ["wrong tokens", (i) => ["auth", encodeAuth(`guess${i}`)]],
    ["streams", () => ["stream", encodeStream("*")]],
    ["monitors", () => ["monitor", encodeMonitor("DEBUG")]],
    ["stops", (i) => ["stop", encodeStop(BigInt(i))]],
    [`members by ${filters} tags ${expression}`, () => [
      "members-filtered",
      encodeMemberFilter({
        name: "",
        status: "",
        tags: new Map(
          Array.from({ length: filters }, (_, k) => [`t${k}`, expression]),
        ),
      }),
    ]],
  ]);
}

/** @returns the error, if there is one */
function answerTo(request: AgentRequest, name: string, tally: Tally): string {
  if (request.kind !== "membersFiltered") return "";
  try {
    filterMembers(MEMBERS, request.filter, (expression) => {
      const size = expressionSize(expression);
      // The compiler refuses it without any work.
      if (size > EXPRESSION_SIZE_MAX) throw new SyntaxError("too large");
      tally.add("size of expressions in a request", size, name);
      return () => false;
    });
    return "";
  } catch (error) {
    return String(error);
  }
}

/** Plays an agent that has next to nothing to say. */
function serve(bytes: Uint8Array, client: number, tally: Tally): void {
  const session = new ServerSession({ authKey: TOKEN, peer: "10.9.9.9:40000" });
  let requests = 0;
  session.handleBytes(bytes);
  for (let outputs; (outputs = session.drain()).length > 0;) {
    for (const output of outputs) {
      if (output.kind === "openMonitor") session.startMonitor([]);
      if (output.kind !== "request") continue;
      const name = `request ${++requests} of client ${client}`;
      session.answer({ error: answerTo(output.request, name, tally) });
    }
  }
  for (let write; (write = session.takeWrite()) !== undefined;) {
    tally.add("bytes to clients", write.bytes.length);
  }
  session.handleEnd();
}

function drawRequests(random: Random): PreparedAttack {
  const [how, prelude] = pick<readonly [string, readonly Call[]]>(random, [
    ["at once", []],
    ["after a handshake", [["handshake", encodeHandshake()]]],
    ["after the token", [
      ["handshake", encodeHandshake()],
      ["auth", encodeAuth(TOKEN)],
    ]],
  ]);
  const [what, call] = drawCall(random);
  const count = pick(random, [1, 100, 2_000]);
  const connections = pick(random, [1, 20]);
  const bytes = written([
    ...prelude,
    ...Array.from({ length: count }, (_, i) => call(i)),
  ]);
  return {
    words: `${connections} connections: ${count} times ${what}, ${how}`,
    measure(unitMs) {
      const tally = new Tally();
      const startMs = performance.now();
      for (let i = 0; i < connections; i++) serve(bytes, i, tally);
      tally.add("processor time", (performance.now() - startMs) / unitMs);
      tally.compare({
        bytes: connections * bytes.length,
        inputs: connections,
        sources: 1,
        seconds: 1,
      });
      return tally.measured;
    },
  };
}

export const RPC_TARGET: WorkTarget = {
  name: "control port",
  draw: drawRequests,
};
