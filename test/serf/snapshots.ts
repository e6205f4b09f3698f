/** Snapshot files for tests: the recorded ones, and a life that writes one. */

import { formatIp, parseIp, splitHostPort } from "../../lib/kit/address.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { MemberEventType, Output } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import { Snapshot } from "../../lib/serf/snapshot.ts";
import {
  readSnapshot,
  type RestoredSnapshot,
} from "../../lib/serf/snapshot_file.ts";
import { serfEntries, type SerfEntry } from "../wire/vectors.ts";
import { Parts } from "./parts.ts";

/** Every recorded file; the number is there so that none goes missing. */
export const FILES: readonly SerfEntry[] = serfEntries(/^snapshot_/, 27);

/** The text of a recorded file. */
export function recordedText(name: string): string {
  const entry = FILES.find((each) => each.name === name);
  if (entry === undefined) throw new Error(`No recorded file ${name}`);
  return entry.decoded["text"] as string;
}

export function readText(
  text: string,
  options = { rejoinAfterLeave: false },
): RestoredSnapshot {
  return readSnapshot(utf8Bytes(text), options);
}

/** What a snapshot says, without how it was read. */
export function stateOf(
  { members, clock, eventClock, queryClock }: RestoredSnapshot,
): unknown {
  const alive = [...members].sort();
  return { alive, clock, eventClock, queryClock };
}

/** Complaints as log lines. */
export function logOf({ complaints }: RestoredSnapshot): string[] {
  return complaints.map(({ level, text }) => `[${level}] serf: ${text}`);
}

/** The file after an output was performed on it. */
export function written(
  text: string,
  output: Extract<Output, { kind: "persist" }>,
): string {
  return output.write === "append" ? text + output.text : output.text;
}

/** One life of a node that does nothing but record. */
export class Life {
  readonly parts: Parts;
  readonly snapshot: Snapshot;
  /** What the file holds. */
  text: string;
  /** What was written, such as `append`, or `append sync` when it must be safe. */
  readonly writes: string[] = [];

  /** @param past what the file holds, or what was read of one */
  constructor(
    past: string | RestoredSnapshot,
    options: { rejoinAfterLeave?: boolean; compactBytesMin?: number } = {},
  ) {
    const { rejoinAfterLeave = false, ...rest } = options;
    this.text = typeof past === "string" ? past : "";
    const restored = typeof past === "string"
      ? readText(past, { rejoinAfterLeave })
      : past;
    this.parts = new Parts({ snapshot: { restored, ...rest } });
    const { core, userEvents, queries } = this.parts;
    const snapshot = Snapshot.resume(core, userEvents, queries);
    if (snapshot === undefined) throw new Error("There is no snapshot");
    this.snapshot = snapshot;
    this.take();
  }

  /** An event happens to a member at `ip:port`. */
  member(type: MemberEventType, name: string, address = "10.0.0.1:7946"): void {
    this.snapshot.record({ type, members: [memberAt(name, address)] });
    this.take();
  }

  userEvent(ltime: bigint): void {
    this.snapshot.record({
      ...{ type: "user", ltime, name: "e" },
      ...{ payload: new Uint8Array(0), coalesce: false },
    });
    this.take();
  }

  query(ltime: bigint): void {
    this.snapshot.record({
      ...{ type: "query", ltime, id: 1, name: "q", sourceNode: "a" },
      ...{ payload: new Uint8Array(0), sourceAddr: new Uint8Array(4) },
      ...{ sourcePort: 7946, relayFactor: 0, deadlineMs: 0 },
    });
    this.take();
  }

  /** The member clock is seen to have moved. */
  clock(seen: bigint): void {
    this.parts.core.clock.witness(seen);
    this.snapshot.clockDue();
    this.take();
  }

  leave(): void {
    this.snapshot.leave();
    this.take();
  }

  /** Performs what was asked for. */
  take(): void {
    for (const output of this.parts.take("persist")) {
      this.text = written(this.text, output);
      this.writes.push(output.write + (output.sync ? " sync" : ""));
    }
  }
}

function memberAt(name: string, address: string): Member {
  const { host, port } = splitHostPort(address);
  const addr = parseIp(host) ?? new Uint8Array(4);
  return {
    ...{ name, addr, ip: formatIp(addr), port, tags: new Map() },
    ...{ status: "alive", protocolMin: 1, protocolMax: 5, protocolCur: 2 },
    ...{ delegateMin: 2, delegateMax: 5, delegateCur: 5 },
  };
}
