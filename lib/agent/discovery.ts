/**
 * Joining agents that are found on the local network (`-discover NAME`).
 *
 *     ask ──1 s──▶ answers: new ones wait for 100 ms of quiet ──▶ one join
 *      ▲                                                        │
 *      └────────────── 60 s ◀───────────────────────────────────┘
 *
 * An address that was joined is not joined again; one that could not be joined
 * is tried again when it is found again. (HashiCorp's agents remember failures
 * too, and never try again.) Our own address is passed over.
 *
 * Source: serf, `mdns.go`.
 */

import type { LogLevel } from "../kit/log.ts";
import {
  type MdnsInterface,
  type MdnsOptions,
  MdnsResponder,
  type MissingFamily,
  pollMdns,
} from "../net/mdns.ts";
import type { DiscoveredService } from "../net/mdns_message.ts";

/** Pause between two questions, ms. */
const POLL_INTERVAL_MS = 60_000;
/** How long answers are listened for, ms. */
const POLL_WAIT_MS = 1_000;
/** Quiet time after which what was found is joined, ms. */
const QUIET_MS = 100;
/** Addresses remembered; beyond it the oldest may be joined again. */
const JOINED_MAX = 4_096;

export interface DiscoveryOptions {
  readonly service: DiscoveredService;
  readonly iface?: MdnsInterface | undefined;
  readonly usesIpv4: boolean;
  readonly usesIpv6: boolean;
  /** @returns how many addresses were contacted */
  join(addresses: readonly string[]): Promise<number>;
  log(level: LogLevel, text: string): void;
  /** A question was not answered, since there were too many. */
  onRefused(): void;
  /** 16 random bits. */
  randomId(): number;
  /** Times for tests, ms. */
  readonly pollIntervalMs?: number;
  readonly pollWaitMs?: number;
  /** Port for tests. */
  readonly mdnsPort?: number;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #responder: MdnsResponder;
  readonly #joined = new Set<string>();
  #found = new Set<string>();
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @throws {Error} when questions cannot be listened for */
  static async start(options: DiscoveryOptions): Promise<Discovery> {
    const responder = await MdnsResponder.start(
      options.service,
      mdnsOptions(options),
      () => options.onRefused(),
    );
    for (const missing of responder.missing) {
      const [level, text] = missingText(missing);
      options.log(level, `agent.mdns: ${text}`);
    }
    return new Discovery(options, responder);
  }

  private constructor(options: DiscoveryOptions, responder: MdnsResponder) {
    this.#options = options;
    this.#responder = responder;
    const { ip, port } = options.service;
    this.#joined.add(ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);
    this.#poll();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#quiet);
    clearTimeout(this.#pause);
    this.#responder.close();
  }

  async #poll(): Promise<void> {
    const { service, log, randomId } = this.#options;
    const {
      pollIntervalMs = POLL_INTERVAL_MS,
      pollWaitMs: waitMs = POLL_WAIT_MS,
    } = this.#options;
    try {
      await pollMdns(
        service.cluster,
        { ...mdnsOptions(this.#options), waitMs, id: randomId() },
        (endpoint) => this.#onFound(endpoint),
      );
    } catch (error) {
      log(
        "ERR",
        `agent.mdns: Failed to poll for new hosts: ${(error as Error).message}`,
      );
    }
    if (this.#isClosed) return;
    this.#pause = setTimeout(() => this.#poll(), pollIntervalMs);
  }

  #onFound(endpoint: string): void {
    if (this.#isClosed || this.#joined.has(endpoint)) return;
    this.#found.add(endpoint);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#join(), QUIET_MS);
  }

  async #join(): Promise<void> {
    const { join, log } = this.#options;
    const addresses = [...this.#found];
    this.#found = new Set();
    // At once, lest the next answer have them joined twice.
    for (const address of addresses) this.#joined.add(address);
    try {
      const contacted = await join(addresses);
      log("INFO", `agent.mdns: Joined ${contacted} hosts`);
    } catch (error) {
      for (const address of addresses) this.#joined.delete(address);
      log("ERR", `agent.mdns: Failed to join: ${(error as Error).message}`);
    }
    for (const address of this.#joined) {
      if (this.#joined.size <= JOINED_MAX) break;
      this.#joined.delete(address);
    }
  }
}

function mdnsOptions(options: DiscoveryOptions): MdnsOptions {
  const { iface, usesIpv4, usesIpv6, mdnsPort: port } = options;
  return { iface, usesIpv4, usesIpv6, port };
}

/**
 * What the log says about a family without answers. A machine without IPv6 is
 * nothing to worry about; a port that somebody else has taken is: we go on asking,
 * from another port, so that half of discovery works and nothing seems wrong.
 */
function missingText(
  { family, isPortTaken, reason }: MissingFamily,
): [LogLevel, string] {
  if (!isPortTaken) {
    return ["DEBUG", `Not listening over ${family}: ${reason}`];
  }
  return [
    "WARN",
    `Another program holds UDP port 5353 over ${family} and does not share it, ` +
    "so that others cannot discover this agent there. End that program, have " +
    `it share the port, or use -mdns-disable-${family.toLowerCase()}`,
  ];
}
