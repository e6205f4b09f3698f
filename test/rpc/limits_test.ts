/** Who gives way at the control port, and which tokens are compared when. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes } from "../../lib/kit/bytes.ts";
import { encodeAuth, encodeHandshake } from "../../lib/rpc/client_bodies.ts";
import { ClientPlaces } from "../../lib/rpc/client_places.ts";
import { NO_RPC_LIMITS, RPC_LIMITS } from "../../lib/rpc/limits.ts";
import { ServerSession } from "../../lib/rpc/server_session.ts";
import { TokenGate } from "../../lib/rpc/token_gate.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";

const FEW = { clientsMax: 4, strangersMax: 3, strangersPerSourceMax: 2 };

/** Places newcomers called `SOURCE NUMBER`; who was pushed out by each. */
function placeAll(
  places: ClientPlaces<string>,
  clients: readonly string[],
): (string | undefined)[] {
  return clients.map((client) => {
    const admission = places.place(client, client.split(" ")[0] as string);
    return admission.kind === "refused" ? "refused" : admission.evicted;
  });
}

Deno.test("ClientPlaces lets a source push out its own strangers first", () => {
  const places = new ClientPlaces<string>(FEW);
  const clients = ["b 1", "a 1", "a 2", "a 3", "a 4"];
  assert.deepEqual(placeAll(places, clients), [
    undefined,
    undefined,
    undefined,
    "a 1",
    "a 2",
  ]);
  // A newcomer from elsewhere takes the place of the source with the most.
  assert.deepEqual(placeAll(places, ["c 1"]), ["a 3"]);
  assert.deepEqual(places.all(), ["b 1", "a 4", "c 1"]);
});

Deno.test("ClientPlaces never pushes out who was admitted, or waits for us", () => {
  const places = new ClientPlaces<string>(FEW);
  placeAll(places, ["a 1", "a 2"]);
  places.admit("a 1");
  placeAll(places, ["a 3"]);
  places.hold("a 2");
  assert.deepEqual(placeAll(places, ["a 4"]), ["a 3"]);
  places.hold("a 4");
  assert.deepEqual(placeAll(places, ["a 5"]), ["refused"]);
  // One that has waited counts as the newest.
  places.release("a 2");
  assert.deepEqual(placeAll(places, ["a 6"]), ["a 2"]);
  assert.deepEqual([...places.admitted], ["a 1"]);
  for (const client of places.all()) places.admit(client);
  placeAll(places, ["b 1"]);
  places.admit("b 1");
  assert.deepEqual(placeAll(places, ["c 1"]), ["refused"], "all are admitted");
});

Deno.test("ClientPlaces: 1,030 silent clients leave room for one that is not", () => {
  const places = new ClientPlaces<string>(RPC_LIMITS);
  const silent = Array.from({ length: 1_030 }, (_, i) => `a ${i}`);
  assert.ok(!placeAll(places, silent).includes("refused"));
  assert.equal(places.size, RPC_LIMITS.strangersPerSourceMax);
  assert.deepEqual(placeAll(places, ["b 1"]), [undefined]);
  // From a thousand sources, none of which is over its share.
  const spread = Array.from({ length: 1_030 }, (_, i) => `s${i} 1`);
  assert.ok(!placeAll(places, spread).includes("refused"));
  assert.equal(places.size, RPC_LIMITS.strangersMax);
});

Deno.test("ClientPlaces keeps its limits whatever happens", () => {
  const step = fc.record({
    what: fc.constantFrom("place", "admit", "hold", "release", "remove"),
    client: fc.nat(20),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const places = new ClientPlaces<string>(FEW);
    for (const { what, client: number } of steps) {
      const source = String(number % 3);
      const client = `${source} ${number}`;
      const admitted = [...places.admitted];
      if (what === "place") {
        if (!places.all().includes(client)) places.place(client, source);
      } else {
        places[what as "admit" | "hold" | "release" | "remove"](client);
      }
      assert.ok(places.size <= FEW.clientsMax);
      assert.ok(places.strangerCount <= FEW.strangersMax);
      for (const other of ["0", "1", "2"]) {
        const strangers = places.all().filter((each) =>
          each.startsWith(other) && ![...places.admitted].includes(each)
        );
        assert.ok(strangers.length <= FEW.strangersPerSourceMax);
      }
      for (const each of admitted) {
        if (what !== "remove") assert.ok([...places.admitted].includes(each));
      }
    }
  }));
});

const SLOW = {
  guessesPerSource: { perSecond: 1, burst: 2 },
  guesses: { perSecond: 2, burst: 3 },
  waitingTokensPerSourceMax: 2,
};

Deno.test("TokenGate lets a source guess as fast as its budget fills", () => {
  const gate = new TokenGate<string>(SLOW);
  gate.onWrong("a", 0);
  gate.onWrong("a", 0);
  assert.equal(gate.isOpen("a", 0), false);
  assert.equal(gate.isOpen("b", 0), true);
  assert.equal(gate.wait("a 1", "a"), true);
  assert.equal(gate.wait("a 2", "a"), true);
  assert.equal(gate.wait("a 3", "a"), false);
  assert.equal(gate.isOpen("b", 0), false, "nobody overtakes");
  assert.equal(gate.wait("b 1", "b"), true);
  assert.equal(gate.next(0), "b 1", "another source is not held up");
  assert.equal(gate.next(0), undefined);
  assert.equal(gate.next(1_000), "a 1");
  // It was right, and has cost nothing.
  assert.equal(gate.next(1_000), "a 2");
  assert.equal(gate.hasWaiting, false);
});

Deno.test("TokenGate limits the guesses of all sources together", () => {
  const gate = new TokenGate<string>(SLOW);
  for (const source of ["a", "b", "c"]) gate.onWrong(source, 0);
  assert.equal(gate.isOpen("d", 0), false);
  gate.wait("d 1", "d");
  gate.wait("e 1", "e");
  assert.equal(gate.next(0), undefined);
  assert.equal(gate.next(500), "d 1");
  gate.onWrong("d", 500);
  assert.equal(gate.next(500), undefined);
  gate.forget("e 1");
  assert.equal(gate.hasWaiting, false);
});

Deno.test("TokenGate: the defaults let a right token wait for seconds, not for minutes", () => {
  const { guessesPerSource, guesses } = RPC_LIMITS;
  const { waitingTokensPerSourceMax, strangersMax } = RPC_LIMITS;
  const longestMs = 1_000 * Math.max(
    waitingTokensPerSourceMax / guessesPerSource.perSecond,
    strangersMax / guesses.perSecond,
  );
  assert.ok(longestMs < RPC_LIMITS.introductionMs / 3);
});

function request(command: string, seq: number, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint(seq);
  return body === undefined ? writer.finish() : writer.append(body).finish();
}

Deno.test("ServerSession holds a token until its turn, and reads nothing behind it", () => {
  let isOpen = false;
  let wrong = 0;
  const session = new ServerSession({
    authKey: "s3cret",
    peer: "PEER",
    guard: { isOpen: () => isOpen, onWrong: () => wrong++ },
  });
  session.handleBytes(concatBytes([
    request("handshake", 1, encodeHandshake()),
    request("auth", 2, encodeAuth("no")),
    request("auth", 3, encodeAuth("s3cret")),
    request("stats", 4),
  ]));
  assert.equal(session.wantsBytes, false);
  assert.deepEqual(session.drain(), [{ kind: "holdToken" }]);
  session.compareToken();
  assert.equal(wrong, 1);
  assert.deepEqual(session.drain().map(({ kind }) => kind), [
    "log",
    "holdToken",
  ]);
  isOpen = true;
  session.compareToken();
  assert.ok(session.isOpen);
  assert.equal(session.drain().at(-1)?.kind, "request");
  session.compareToken();
  assert.ok(!session.isClosed, "nothing is held any more");
});

Deno.test("ServerSession without limits lets strangers try for ever, as the original", () => {
  const session = new ServerSession({
    authKey: "s3cret",
    peer: "PEER",
    limits: NO_RPC_LIMITS,
  });
  session.handleBytes(request("handshake", 1, encodeHandshake()));
  for (let i = 0; i < 1_000; i++) {
    session.handleBytes(request("auth", i, encodeAuth(`${i}`)));
    session.handleBytes(request("stats", i));
  }
  assert.ok(!session.isClosed);
});

Deno.test("ServerSession keeps little of what comes behind a held token", () => {
  const guard = { isOpen: () => false, onWrong: () => {} };
  const begin = () => {
    const session = new ServerSession({ authKey: "k", peer: "PEER", guard });
    session.handleBytes(request("handshake", 1, encodeHandshake()));
    session.handleBytes(request("auth", 2, encodeAuth("k")));
    assert.ok(session.isTokenHeld);
    return session;
  };
  const greedy = begin();
  for (let i = 0; i < 5; i++) greedy.handleBytes(new Uint8Array(4_000));
  assert.ok(greedy.isClosed);
  const patient = begin();
  patient.handleBytes(request("stats", 3));
  patient.compareToken();
  assert.equal(patient.drain().at(-1)?.kind, "request");
  const gone = begin();
  gone.handleEnd();
  assert.ok(gone.isClosed);
});
