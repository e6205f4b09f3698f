/**
 * What the agent says on standard output beside its log.
 *
 * For people: messages behind `==>`, facts behind spaces, as in the original. As
 * JSON: one object for each, in the form of the log's own lines, so that whoever
 * collects standard output has one format to read. Which of the two is meant may
 * stand in a file that has yet to be read; what is said before is held back.
 */

import type { AgentSettings } from "../lib/agent/config.ts";
import { jsonLogLine } from "../lib/agent/log_line.ts";
import { formatEndpoint, type HostPort } from "../lib/kit/address.ts";
import type { LogLevel } from "../lib/kit/log.ts";
import { visibleText } from "../lib/kit/visible.ts";
import {
  formatRpcEndpoint,
  type RpcEndpoint,
} from "../lib/net/rpc_endpoint.ts";
import type { Terminal } from "./terminal.ts";

/** Width of the labels in the start-up table. */
const LABEL_WIDTH = 27;

/** Something that the agent shows of itself when it runs. */
export interface StartUpFact {
  readonly label: string;
  readonly value: string | boolean;
  /** Whether people see the value in quotes. */
  readonly isQuoted?: boolean;
  /** The one row that is not aligned; neither is it in the original. */
  readonly isRagged?: boolean;
}

export class AgentConsole {
  readonly #terminal: Terminal;
  readonly #now: () => Date;
  #isJson = false;
  /** What was said while the format was not known; absent since it is. */
  #heldBack: (() => void)[] | undefined = [];

  constructor(terminal: Terminal, now: () => Date) {
    this.#terminal = terminal;
    this.#now = now;
  }

  /** Shows what was held back; from now on everything appears at once. */
  open(isJson: boolean): void {
    const heldBack = this.#heldBack ?? [];
    this.#isJson = isJson;
    this.#heldBack = undefined;
    for (const show of heldBack) show();
  }

  /**
   * Writes to standard output. What cannot be written is lost: a full disk, or a
   * terminal that is gone, must not end an agent.
   */
  write(text: string): void {
    attempt(() => this.#terminal.out(text));
  }

  /** Writes to standard error, in the same way. */
  writeAside(text: string): void {
    attempt(() => this.#terminal.err(text));
  }

  /** A message. */
  say(message: string): void {
    this.#out("INFO", message, `==> ${message}\n`);
  }

  /** Why the agent ends, or does not do what it was told. */
  complain(message: string): void {
    this.#out("ERR", message, `==> ${message}\n`);
  }

  /** A detail of what was said before. */
  tell(message: string): void {
    this.#out("INFO", message, `    ${message}\n`);
  }

  /** That the agent runs, and as what. */
  introduce(facts: readonly StartUpFact[]): void {
    const fields = facts.map(({ label, value }) =>
      [label.toLowerCase().replaceAll(" ", "_"), value] as const
    );
    this.#out(
      "INFO",
      "Serf agent running!",
      `==> Serf agent running!\n` +
        startUpTable(facts).map((row) => `    ${row}\n`).join(""),
      Object.fromEntries(fields),
    );
  }

  /** For people: that the log begins. */
  announceLog(): void {
    this.#out(
      "INFO",
      undefined,
      "\n==> Log data will now stream in as it occurs:\n\n",
    );
  }

  #out(
    level: LogLevel,
    message: string | undefined,
    text: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void {
    const at = this.#now();
    const show = () => {
      // In files too, since whoever collects this output reads it as a log.
      if (!this.#isJson) this.write(visibleText(text));
      else if (message !== undefined) {
        this.write(jsonLogLine(at, level, message.trim(), fields));
      }
    };
    if (this.#heldBack === undefined) show();
    else this.#heldBack.push(show);
  }
}

function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // There is no better place to tell.
  }
}

/** What the agent shows of itself, in the order of the original. */
export function startUpFacts(
  settings: AgentSettings,
  bound: HostPort,
  rpcAt: RpcEndpoint,
): StartUpFact[] {
  const { advertise, discovery, rpcAddr } = settings;
  const show = ({ host, port }: HostPort) => formatEndpoint(host, port);
  const isEncrypted = settings.encryptKey !== undefined ||
    settings.keyringFile !== "";
  // As it was given, unless it left the choice of the port to the system.
  const rpc = rpcAddr.endsWith(":0") ? formatRpcEndpoint(rpcAt) : rpcAddr;
  return [
    { label: "Node name", value: settings.nodeName, isQuoted: true },
    { label: "Bind addr", value: show(bound), isQuoted: true },
    ...(advertise
      ? [{
        label: "Advertise addr",
        value: show(advertise),
        isQuoted: true,
        isRagged: true,
      }]
      : []),
    { label: "RPC addr", value: rpc, isQuoted: true },
    { label: "Encrypted", value: isEncrypted },
    { label: "Snapshot", value: settings.snapshotPath !== "" },
    { label: "Profile", value: settings.profile },
    { label: "Message Compression Enabled", value: settings.compression },
    ...(discovery ? [{ label: "mDNS cluster", value: discovery.cluster }] : []),
  ];
}

/** The facts for people, a row for each. */
export function startUpTable(facts: readonly StartUpFact[]): string[] {
  return facts.map(({ label, value, isQuoted, isRagged }) =>
    `${isRagged ? label : label.padStart(LABEL_WIDTH)}: ` +
    (isQuoted ? `'${value}'` : value)
  );
}
