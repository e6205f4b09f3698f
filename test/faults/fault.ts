/**
 * Faults on the link of a network namespace, said in words:
 *
 *     loss 25%          of what leaves, UDP and TCP
 *     duplicate 50%     of the UDP packets that leave
 *     corrupt 20%       of the UDP packets that leave: one byte is overwritten
 *     block udp         both ways; also `tcp` and `all`
 *     block udp to 10.0.0.2 10.0.0.3      one way; also `from`
 *     refuse tcp        what leaves to open or use a connection is answered
 *                       with a reset
 *     delay 100ms 20ms  of what leaves, with jitter; only where there is netem
 *
 * All but the delay are rules of nftables, whatever the kernel: they leave out
 * the tests' own address, so that agents can be asked about what they see, and
 * they count what they hit, so that a test waits until a fault has really
 * happened so many times and not for a duration. Delay takes `tc netem`, which
 * not every kernel has; nothing else delays packets, and where it is missing
 * only the simulator does.
 */

import assert from "node:assert/strict";

/** The network device of every namespace here. */
export const DEVICE = "eth0";

const TABLE_PREFIX = "fault_";
/** Bytes behind the UDP header that a corruption may overwrite. */
const CORRUPTED_BYTES = [1, 17, 31, 46];

/** What a fault needs of the system. */
export type Recipe =
  | { readonly tool: "nft"; readonly script: string }
  | { readonly tool: "tc"; readonly netem: string };

/**
 * Translates a fault.
 *
 * @param words see above
 * @param options the table it gets, and the address that it must leave alone
 * @throws {SyntaxError} when the words say nothing known
 */
export function recipeOf(
  words: string,
  options: { readonly table: string; readonly spared: string },
): Recipe {
  const [verb, what = "", way, ...ends] = words.split(" ");
  const { table, spared } = options;
  const nft = (rules: Rules): Recipe => ({
    tool: "nft",
    script: scriptOf(table, spared, rules),
  });
  switch (verb) {
    case "loss":
      return nft({
        out: [`meta l4proto { tcp, udp } ${chance(what)} ${HIT} drop`],
      });
    case "duplicate": {
      const rule = `meta l4proto udp ${
        chance(what)
      } ${HIT} dup to ip daddr device "${DEVICE}"`;
      return nft({ out: [rule] });
    }
    case "corrupt":
      return nft({ out: corruption(what) });
    case "block":
      return nft(blockade(what, way, ends));
    case "refuse":
      if (what !== "tcp") break;
      return nft({ out: [`meta l4proto tcp ${HIT} reject with tcp reset`] });
    case "delay":
      return { tool: "tc", netem: words };
  }
  throw new SyntaxError(`No such fault: '${words}'`);
}

interface Rules {
  readonly out?: readonly string[];
  readonly in?: readonly string[];
}

const HIT = "counter name hits";

function scriptOf(table: string, spared: string, rules: Rules): string {
  const chain = (hook: string, rules: readonly string[], match: string) =>
    `chain ${hook} { type filter hook ${hook} priority 0;\n` +
    rules.map((rule) => `${match} ${rule}\n`).join("") + "}\n";
  return `table ip ${table} {\ncounter hits {}\n` +
    chain(
      "output",
      rules.out ?? [],
      `oifname ${DEVICE} ip daddr != ${spared}`,
    ) +
    chain("input", rules.in ?? [], `iifname ${DEVICE} ip saddr != ${spared}`) +
    "}\n";
}

/** Matches that percentage of packets, at random. */
function chance(text: string): string {
  return `numgen random mod 1000 < ${Math.round(percentOf(text) * 10)}`;
}

function percentOf(text: string): number {
  const percent = Number(/^(\d+)%$/.exec(text)?.[1] ?? NaN);
  if (percent > 0 && percent <= 100) return percent;
  throw new SyntaxError(`No percentage: '${text}'`);
}

/** A packet that is too short for one place has the chance of another. */
function corruption(text: string): string[] {
  const each = Math.round(percentOf(text) * 10 / CORRUPTED_BYTES.length);
  return CORRUPTED_BYTES.map((byte) => {
    const bit = (8 + byte) * 8;
    return `meta l4proto udp numgen random mod 1000 < ${each} @th,${bit},8 set 0xa5 ${HIT}`;
  });
}

function blockade(
  what: string,
  way: string | undefined,
  ends: readonly string[],
): Rules {
  const protocols = what === "all" ? "{ tcp, udp }" : what;
  if (!["all", "tcp", "udp"].includes(what)) {
    throw new SyntaxError(`Cannot block '${what}'`);
  }
  const rule = (match: string) =>
    `${match} meta l4proto ${protocols} ${HIT} drop`;
  const set = `{ ${ends.join(", ")} }`;
  switch (way) {
    case undefined:
      return { out: [rule("")], in: [rule("")] };
    case "to":
      return { out: [rule(`ip daddr ${set}`)] };
    case "from":
      return { in: [rule(`ip saddr ${set}`)] };
    default:
      throw new SyntaxError(`Neither 'to' nor 'from': '${way}'`);
  }
}

let tables = 0;

/** A fault that lasts until it is disposed of. */
export class Fault implements Disposable {
  readonly #namespace: string;
  readonly #undo: string;
  readonly #table: string;

  /**
   * @param namespace as the system calls it
   * @param words see above
   * @param spared the address that the fault leaves alone
   */
  constructor(namespace: string, words: string, spared: string) {
    this.#namespace = namespace;
    this.#table = `${TABLE_PREFIX}${++tables}`;
    const recipe = recipeOf(words, { table: this.#table, spared });
    if (recipe.tool === "nft") {
      this.#undo = `nft delete table ip ${this.#table}`;
      // It takes a script as one argument, too.
      run(namespace, ["nft", recipe.script]);
    } else {
      this.#undo = `tc qdisc del dev ${DEVICE} root`;
      const line = `tc qdisc add dev ${DEVICE} root netem ${recipe.netem}`;
      run(namespace, line.split(" "));
    }
  }

  /** Packets that it has hit so far; nothing counts those that netem delays. */
  hits(): number {
    const text = run(this.#namespace, [
      ...["nft", "-j", "list", "counter", "ip"],
      ...[this.#table, "hits"],
    ]);
    const { nftables } = JSON.parse(text) as {
      nftables: { counter?: { packets: number } }[];
    };
    return nftables.find(({ counter }) => counter)?.counter?.packets ?? 0;
  }

  [Symbol.dispose](): void {
    run(this.#namespace, this.#undo.split(" "));
  }
}

/** Runs a program in a namespace; returns what it printed. */
function run(namespace: string, args: readonly string[]): string {
  const output = runIn(namespace, args);
  const said = new TextDecoder().decode(output.stderr);
  assert.ok(output.success, `${args.join(" ")}: ${said}`);
  return new TextDecoder().decode(output.stdout);
}

function runIn(namespace: string, args: readonly string[]) {
  return new Deno.Command("ip", {
    args: ["netns", "exec", namespace, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
}

/** What this machine can do to a link. */
export interface Abilities {
  /** Why there can be no faults here; `undefined` when there can. */
  readonly missing: string | undefined;
  readonly hasNetem: boolean;
}

/** Tries everything once, in a namespace that is removed again. */
export function abilities(): Abilities {
  const none = (missing: string) => ({ missing, hasNetem: false });
  if (Deno.build.os !== "linux") return none("needs Linux");
  const name = `serf-able-${Deno.pid}`;
  const ip = (line: string) =>
    new Deno.Command("ip", {
      args: line.split(" "),
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  try {
    if (!ip(`netns add ${name}`)) return none("may not make namespaces");
  } catch {
    return none("needs the program ip");
  }
  try {
    ip(`-n ${name} link add ${DEVICE} type veth peer name other`);
    for (const words of ["duplicate 1%", "corrupt 1%", "refuse tcp"]) {
      const recipe = recipeOf(words, { table: "able", spared: "10.0.0.1" });
      if (recipe.tool !== "nft") continue;
      const { success, stderr } = runIn(name, ["nft", recipe.script]);
      const said = new TextDecoder().decode(stderr).split("\n")[0];
      if (!success) return none(`needs the program nft: ${said}`);
      runIn(name, ["nft", "delete", "table", "ip", "able"]);
    }
    const delay = `tc qdisc add dev ${DEVICE} root netem delay 1ms`;
    return {
      missing: undefined,
      hasNetem: runIn(name, delay.split(" ")).success,
    };
  } finally {
    ip(`netns del ${name}`);
  }
}
