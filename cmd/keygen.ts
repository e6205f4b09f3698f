/** `serf keygen`: a new key for the encryption of gossip. */

import { type Command, renderHelp } from "./command.ts";
import { checkFormat, formatFlag, formatOf, print } from "./format.ts";

/** AES-256; the agent takes keys of 16 and 24 bytes too. */
const KEY_BYTES = 32;

export const command: Command = {
  help: () =>
    renderHelp({
      usage: "keygen",
      description: [
        "Makes a new random key for the encryption of the traffic between",
        "agents and prints it in base64, the form in which an agent expects it.",
      ],
      flags: { "format": formatFlag() },
    }),

  run(args, terminal) {
    const format = formatOf(args);
    if (!checkFormat(format, terminal)) return Promise.resolve(1);
    const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    print(format, terminal, {
      text: renderKey(key),
      json: { key: renderKey(key).trimEnd() },
    });
    return Promise.resolve(0);
  },
};

/** A key in standard base64, with padding, on a line of its own. */
export function renderKey(key: Uint8Array): string {
  return `${btoa(String.fromCharCode(...key))}\n`;
}
