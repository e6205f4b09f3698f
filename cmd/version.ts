/** `serf version`: our version, and the Serf protocols that we speak. */

import { COMMIT, VERSION } from "../lib/kit/version.ts";
import type { Command } from "./command.ts";
import { checkFormat, formatOf, print } from "./format.ts";

/** Newest and oldest Serf protocol, as in `lib/serf/config.ts`. */
const PROTOCOL_MAX = 5;
const PROTOCOL_MIN = 2;

export const command: Command = {
  // Serf's own has no help either: `serf version -h` prints an empty line.
  help: () => "",

  run(args, terminal) {
    const format = formatOf(args);
    if (!checkFormat(format, terminal)) return Promise.resolve(1);
    print(format, terminal, {
      text: renderVersion(VERSION, COMMIT),
      json: {
        version: VERSION,
        ...(COMMIT !== undefined && { commit: COMMIT }),
        protocol: { max: PROTOCOL_MAX, min: PROTOCOL_MIN },
      },
    });
    return Promise.resolve(0);
  },
};

/**
 * The two lines of `serf version`; the second is part of the interface. The
 * commit stands in parentheses, as in the original's own builds.
 */
export function renderVersion(version: string, commit?: string): string {
  return version + (commit === undefined ? "\n" : ` (${commit})\n`) +
    `Agent Protocol: ${PROTOCOL_MAX} (Understands back to: ${PROTOCOL_MIN})\n`;
}
