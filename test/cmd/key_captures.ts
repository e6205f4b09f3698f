/** Gives a fake agent what the captured one had when it was asked about keys. */

import { KeyError } from "../../lib/net/driver.ts";
import type { KeyReport } from "../../lib/serf/event.ts";
import { NO_KEY_REPORT } from "../../lib/serf/key_manager.ts";
import type { FakeTarget } from "../rpc/fake_target.ts";

const KEY_ROW = /^(\S+) {2}\[(\d+)\/(\d+)\]$/gm;
const FAILURE_ROW = /^failed: {2}(\S+) +(.*)$/gm;

/** For `serf keys`. */
export function prepareKeys(target: FakeTarget, stdout: string): void {
  const error = /^(?:Failed to gather|Error) [^:\n]*: (.*)$/m.exec(stdout)?.[1];
  const rows = [...stdout.matchAll(KEY_ROW)];
  const messages = [...stdout.matchAll(FAILURE_ROW)];
  const report: KeyReport = {
    ...NO_KEY_REPORT,
    messages: new Map(
      messages.map(([, node = "", message = ""]) => [node, message]),
    ),
    keyCounts: new Map(
      rows.map(([, key = "", count]) => [key, Number(count)]),
    ),
    nodes: Number(rows[0]?.[3] ?? messages.length),
    errors: messages.length,
  };
  target.onChangeKeys = () =>
    error === undefined
      ? Promise.resolve(report)
      : Promise.reject(new KeyError(error, report));
}

/** A captured output with its rows in our order; the original's is chance. */
export function withSortedRows(stdout: string): string {
  const lines = stdout.split("\n");
  for (const pattern of [KEY_ROW, FAILURE_ROW]) {
    const isRow = (line: string) => line.search(pattern) >= 0;
    const rows = lines.filter(isRow).sort();
    for (const [i, line] of lines.entries()) {
      if (isRow(line)) lines[i] = rows.shift() as string;
    }
  }
  return lines.join("\n");
}
