/** Gives a fake agent what the captured one had when it was asked a query. */

import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { QueryReply } from "../../lib/serf/event.ts";
import { type FakeTarget, member } from "../rpc/fake_target.ts";

/** What came back to a query, from what was printed of it. */
export function repliesIn(stdout: string): QueryReply[] {
  return stdout.startsWith("{") ? repliesInJson(stdout) : repliesInText(stdout);
}

/** For `serf query`. */
export function prepareQuery(target: FakeTarget, stdout: string): void {
  const refusal = /^Error sending query: (.*)\n$/m.exec(stdout)?.[1];
  target.onQuery = (_, listener) => {
    if (refusal !== undefined) throw new Error(refusal);
    for (const reply of repliesIn(stdout)) listener.onReply(reply);
    listener.onDone();
  };
}

/** For `serf reachability`. Who acked is shown only with `-verbose`. */
export function prepareReachability(target: FakeTarget, stdout: string): void {
  const counted = /^Total members: (\d+), live members: (\d+)$/m.exec(stdout);
  const [total, live] = [Number(counted?.[1]), Number(counted?.[2])];
  const missing = [...stdout.matchAll(/^\t(\w+)$/gm)].map(([, name]) => name);
  const names = Array.from(
    { length: total },
    (_, i) => `${missing[0]?.replace(/\d+$/, "") ?? "n"}${i + 1}`,
  );
  target.memberList = names.map((name, i) =>
    member(name, { status: i < live ? "alive" : "failed" })
  );
  prepareQuery(target, stdout);
  const refusing = target.onQuery;
  if (/^Error sending query/m.test(stdout)) return;
  const shown = [...stdout.matchAll(/^\tAck from '(.*)'$/gm)]
    .map(([, name]) => name as string);
  const acking = shown.length > 0
    ? shown
    : names.slice(0, live).filter((name) => !missing.includes(name));
  target.onQuery = (query, listener) => {
    if (query.name !== "_serf_ping") return refusing(query, listener);
    for (const from of acking) listener.onReply({ kind: "ack", from });
    listener.onDone();
  };
}

function repliesInText(stdout: string): QueryReply[] {
  const replies: QueryReply[] = [];
  const pattern =
    /^(Ack|Response) from '(.*?)'(?:: ([^]*?))?\n(?=Ack from|Response from|Total |$)/gm;
  for (const [, kind, from = "", text = ""] of stdout.matchAll(pattern)) {
    replies.push(
      kind === "Ack"
        ? { kind: "ack", from }
        : { kind: "response", from, payload: utf8Bytes(`${text}\n`) },
    );
  }
  return replies;
}

function repliesInJson(stdout: string): QueryReply[] {
  const { Acks, Responses } = JSON.parse(stdout) as {
    Acks: string[] | null;
    Responses: Record<string, string>;
  };
  const acks = (Acks ?? []).map((from) => ({ kind: "ack", from }) as const);
  const responses = Object.entries(Responses).map(([from, text]) =>
    ({ kind: "response", from, payload: utf8Bytes(text) }) as const
  );
  return [...acks, ...responses];
}
