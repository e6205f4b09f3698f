/** `serf query`: asks the cluster something and shows who answers what. */

import { concatBytes, utf8Bytes, utf8Text } from "../lib/kit/bytes.ts";
import { unbroken } from "../lib/kit/visible.ts";
import type { QueryReply } from "../lib/rpc/client_bodies.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import {
  booleanFlag,
  durationFlag,
  integerFlag,
  listFlag,
  textFlag,
} from "./flags.ts";
import { fail } from "./format.ts";
import { type JsonValue, renderJson } from "./output.ts";
import { parsePairs } from "./pairs.ts";
import type { Terminal } from "./terminal.ts";

const RELAY_FACTOR_MAX = 255;

const flagTable = (terminal: Terminal) => ({
  "format": textFlag("text", {
    shown: "format=text",
    text: [
      "Either 'text', shown as answers arrive, or 'json', shown",
      "at the end.",
    ],
  }),
  "node": listFlag({
    shown: "node <name>",
    text: [
      "Only this member may answer. May be given several times",
      "to name several members.",
    ],
  }),
  "tag": listFlag({
    shown: "tag <key>=<regexp>",
    text: [
      "Only members whose tag <key> contains a match may",
      "answer; a missing tag counts as an empty one. May be",
      "given several times, and then all of them must match.",
    ],
  }),
  "timeout": durationFlag(0, {
    shown: "timeout=15s",
    text: [
      "How long to wait for answers. Without it, the agent",
      "chooses a time that suits the size of the cluster.",
    ],
  }),
  "no-ack": booleanFlag(false, {
    text: ["Do not ask members to confirm that the query is there."],
  }),
  "relay-factor": integerFlag(0, {
    shown: "relay-factor=0",
    text: [
      "Through how many other members each answer is sent as",
      "well, 0 to 255. Helps where packets get lost.",
    ],
  }),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "query [options] name payload",
      description: [
        "Sends a query to all members of the cluster, or to some of them, and",
        "shows who has received it and what was answered. Ends when the time is",
        "over, or as soon as nobody is left who may still answer.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    let filterTags: Map<string, string>;
    try {
      filterTags = parsePairs(values.tag);
    } catch (error) {
      return fail(
        values.format,
        `Error: ${(error as Error).message}`,
        terminal,
      );
    }
    const relayFactor = values["relay-factor"];
    if (relayFactor < 0 || relayFactor > RELAY_FACTOR_MAX) {
      return fail(
        values.format,
        `Relay factor must be between 0 and ${RELAY_FACTOR_MAX}`,
        terminal,
      );
    }
    const [name, payload] = positionals;
    if (name === undefined) {
      return failUsage(
        command,
        "A query name must be specified.",
        terminal,
        values.format,
      );
    }
    if (positionals.length > 2) {
      return failUsage(
        command,
        "Too many command line arguments. Only a name and payload must be specified.",
        terminal,
        values.format,
      );
    }
    const requestAck = !values["no-ack"];
    const complaint = "Error sending query";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const screen = screenFor(values.format, name, requestAck, terminal);
      if (screen === undefined) {
        terminal.out(`Invalid format: ${values.format}\n`);
        return 1;
      }
      const interrupted = Promise.withResolvers<"interrupted">();
      const stopListening = terminal.onInterrupt(() => {
        interrupted.resolve("interrupted");
      });
      try {
        const done = client.query({
          name,
          payload: payload === undefined ? undefined : utf8Bytes(payload),
          filterNodes: values.node,
          filterTags,
          requestAck,
          relayFactor,
          timeoutMs: values.timeout,
        }, {
          onStart: () => screen.begin(),
          onReply: (reply) => screen.reply(reply),
        });
        const end = await Promise.race([interrupted.promise, done]);
        if (end === "interrupted") return 1;
        screen.end();
        return 0;
      } finally {
        stopListening();
      }
    });
  },
};

/** What a query looks like while it runs. */
export interface QueryScreen {
  begin(): void;
  reply(reply: QueryReply): void;
  end(): void;
}

function screenFor(
  format: string,
  name: string,
  hasAcks: boolean,
  terminal: Terminal,
): QueryScreen | undefined {
  switch (format) {
    case "text":
      return new TextScreen({
        name,
        hasAcks,
        isForPeople: terminal.isTerminal,
        write: (bytes) => terminal.outBytes(bytes),
      });
    case "json":
      return new JsonScreen((text) => terminal.out(text));
    default:
      return undefined;
  }
}

const LINE_END = 0x0a;

export interface TextScreenOptions {
  readonly name: string;
  readonly hasAcks: boolean;
  /** Whether further lines of an answer are indented. */
  readonly isForPeople: boolean;
  write(bytes: Uint8Array): void;
}

/**
 * Everything as it comes, answers byte by byte, and totals at the end.
 *
 * An answer may have several lines. For a person those after the first are
 * indented, so that none can pass for an ack or an answer of another member.
 */
export class TextScreen implements QueryScreen {
  readonly #options: TextScreenOptions;
  #acks = 0;
  #responses = 0;

  constructor(options: TextScreenOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#say(`Query '${this.#options.name}' dispatched\n`);
  }

  reply(reply: QueryReply): void {
    if (reply.kind === "ack") {
      this.#acks++;
      this.#say(`Ack from '${unbroken(reply.from)}'\n`);
    } else {
      this.#responses++;
      const { payload } = reply;
      const answer = payload.at(-1) === LINE_END
        ? payload.subarray(0, -1)
        : payload;
      // Scripts may answer any bytes, and programs may read them from here.
      this.#options.write(concatBytes([
        utf8Bytes(`Response from '${unbroken(reply.from)}': `),
        this.#options.isForPeople ? indented(answer) : answer,
        utf8Bytes("\n"),
      ]));
    }
  }

  end(): void {
    if (this.#options.hasAcks) this.#say(`Total Acks: ${this.#acks}\n`);
    this.#say(`Total Responses: ${this.#responses}\n`);
  }

  #say(text: string): void {
    this.#options.write(utf8Bytes(text));
  }
}

function indented(answer: Uint8Array): Uint8Array {
  return utf8Bytes(utf8Text(answer).replaceAll("\n", "\n    "));
}

/** One document at the end. */
export class JsonScreen implements QueryScreen {
  readonly #acks: string[] = [];
  readonly #responses = new Map<string, string>();

  constructor(readonly write: (text: string) => void) {}

  begin(): void {}

  reply(reply: QueryReply): void {
    if (reply.kind === "ack") this.#acks.push(reply.from);
    else this.#responses.set(reply.from, utf8Text(reply.payload));
  }

  end(): void {
    const value: JsonValue = {
      // A list that was never filled is null, as Go writes it.
      Acks: this.#acks.length > 0 ? this.#acks : null,
      Responses: this.#responses,
    };
    this.write(`${renderJson(value)}\n`);
  }
}
