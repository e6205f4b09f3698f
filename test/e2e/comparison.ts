/**
 * The command lines of both kinds against agents of both kinds.
 *
 * Two clusters that differ in nothing but the program: same names, same tags,
 * other ports. A command is run in the four combinations, and whatever the
 * original program says to the original agent, the other three must say too,
 * byte by byte and with the same exit code, after addresses have been replaced
 * by names and orders that are random in Go have been sorted.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type AgentOptions,
  type CliResult,
  type Cluster,
  type Kind,
  KINDS,
  runCli,
} from "./harness.ts";

/** One of the two clusters. */
export interface Side {
  readonly kind: Kind;
  readonly agents: Map<string, Agent>;
}

export interface Expectation {
  /** Exit code of the original. */
  readonly code: number;
  /** What the original's standard output must look like, normalised. */
  readonly stdout?: string | RegExp;
  readonly stderr?: string | RegExp;
  /** Brings standard output into a comparable form, after the addresses. */
  readonly normalise?: (text: string) => string;
  readonly env?: (side: Side) => Record<string, string>;
  /**
   * Whether what is asked travels by gossip, which may miss a node: then it is
   * asked again when somebody did not answer, for a while.
   */
  readonly isGossiped?: boolean;
}

/**
 * With the profile `local`, one question in some thirty misses somebody; and
 * scripts, which run one after another, may be late on a busy machine.
 */
const GOSSIPED_DEADLINE_MS = 75_000;

/** The token that the agent n2 of either side wants. */
export const TOKEN = "s3cret";

/**
 * Starts the two clusters: n1, n2 (wants the token) and n3.
 *
 * @param common what all agents are started with
 */
export async function startSides(
  cluster: Cluster,
  common: Pick<AgentOptions, "profile" | "encrypt" | "extraArgs"> = {},
): Promise<Comparison> {
  const sides = await Promise.all(KINDS.map(async (kind) => {
    const n1 = await cluster.start({
      ...common,
      kind,
      name: "n1",
      tags: { role: "lb", dc: "east" },
    });
    const rest = { ...common, kind, join: [n1.gossip.text] };
    const [n2, n3] = await Promise.all([
      cluster.start({
        ...rest,
        name: "n2",
        tags: { role: "web", dc: "east" },
        rpcAuth: TOKEN,
      }),
      cluster.start({ ...rest, name: "n3", tags: { role: "web" } }),
    ]);
    const agents = [n1, n2, n3];
    for (const agent of agents) {
      await cluster.eventually(
        `${agent.name} (${kind}) sees three`,
        async () => (await agent.members()).size === 3,
      );
    }
    return {
      kind,
      agents: new Map(agents.map((agent) => [agent.name, agent])),
    };
  }));
  return new Comparison(sides);
}

export class Comparison {
  constructor(readonly sides: readonly Side[]) {}

  /** The agents of that name, one of each side. */
  agents(name: string): Agent[] {
    return this.sides.map((side) => agentOf(side, name));
  }

  /**
   * Runs a command against an agent in the four combinations.
   *
   * @param node name of the agent to ask
   * @param args arguments after the command, or what makes them for a side
   */
  async same(
    node: string,
    command: string,
    args: readonly string[] | ((side: Side) => readonly string[]),
    expected: Expectation,
  ): Promise<void> {
    await this.sameRaw((side) => [
      command,
      ...agentOf(side, node).rpcFlags,
      ...(typeof args === "function" ? args(side) : args),
    ], expected);
  }

  /** As `same`, with the whole command line given; it may differ by program. */
  async sameRaw(
    argsOf: (side: Side, cli: Kind) => readonly string[],
    expected: Expectation,
  ): Promise<void> {
    const endMs = performance.now() +
      (expected.isGossiped ? GOSSIPED_DEADLINE_MS : 0);
    while (true) {
      try {
        return checkRuns(await this.#run(argsOf, expected), expected);
      } catch (error) {
        if (performance.now() >= endMs) throw error;
      }
    }
  }

  async #run(
    argsOf: (side: Side, cli: Kind) => readonly string[],
    expected: Expectation,
  ): Promise<Run[]> {
    return await Promise.all(
      this.sides.flatMap((side) =>
        KINDS.map(async (cli) => {
          const args = argsOf(side, cli);
          const result = await runCli(cli, args, {
            env: expected.env?.(side) ?? {},
          });
          const title = `'serf ${
            args.join(" ")
          }' of ${cli} against ${side.kind}`;
          return {
            title,
            cli,
            side,
            result: normalised(result, side, expected),
          };
        })
      ),
    );
  }

  /** Runs a command that needs no agent with both programs. */
  async sameAlone(
    args: readonly string[],
    expected: Expectation,
  ): Promise<void> {
    await compareAlone(args, expected);
  }
}

/** Runs a command that needs no agent with both programs. */
export async function compareAlone(
  args: readonly string[],
  expected: Expectation,
): Promise<void> {
  const side: Side = { kind: "hashicorp", agents: new Map() };
  const runs = await Promise.all(KINDS.map(async (cli) => ({
    title: `'serf ${args.join(" ")}' of ${cli}`,
    cli,
    side,
    result: normalised(
      await runCli(cli, args, { env: expected.env?.(side) ?? {} }),
      side,
      expected,
    ),
  })));
  checkRuns(runs, expected);
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Run {
  readonly title: string;
  readonly cli: Kind;
  readonly side: Side;
  readonly result: Outcome;
}

function checkRuns(runs: readonly Run[], expected: Expectation): void {
  const original = runs.find((run) =>
    run.cli === "hashicorp" && run.side.kind === "hashicorp"
  );
  assert.ok(original);
  const { code, stdout, stderr } = original.result;
  const isExpected = code === expected.code &&
    isLike(stdout, expected.stdout) &&
    isLike(stderr, expected.stderr ?? "");
  if (!isExpected) {
    const { code, stdout, stderr } = expected;
    const wanted = Deno.inspect({ code, stdout, stderr });
    throw new Error(
      `The original surprises us.\n${show(original)}\nExpected: ${wanted}`,
    );
  }
  for (const run of runs) {
    if (show(run, "") === show(original, "")) continue;
    throw new Error(
      `Not the same.\n${show(run)}\nThe original:\n${show(original)}`,
    );
  }
}

function isLike(text: string, expected: string | RegExp | undefined): boolean {
  if (expected === undefined) return true;
  return typeof expected === "string" ? text === expected : expected.test(text);
}

function show({ title, result }: Run, heading: string = title): string {
  const { code, stdout, stderr } = result;
  return `${heading} exit code ${code}\n${JSON.stringify(stdout)}\n${
    JSON.stringify(stderr)
  }`;
}

function normalised(
  result: CliResult,
  side: Side,
  { normalise }: Expectation,
): Outcome {
  let { stdout } = result;
  for (const agent of side.agents.values()) {
    stdout = stdout.replaceAll(agent.gossip.text, `GOSSIP-OF-${agent.name}`);
    stdout = stdout.replaceAll(agent.rpc.text, `RPC-OF-${agent.name}`);
  }
  if (normalise !== undefined) stdout = normalise(stdout);
  return { code: result.code, stdout, stderr: withoutHelp(result.stderr) };
}

export function agentOf(side: Side, name: string): Agent {
  const agent = side.agents.get(name);
  assert.ok(agent, `no agent ${name}`);
  return agent;
}

/** Sorts the rows of `serf members` and the tags in each. */
export function sortedRows(text: string): string {
  return text.split("\n").map((line) =>
    line.replace(
      /\S+=\S*(,\S+=\S*)+/,
      (tags) => tags.split(",").sort().join(","),
    )
  ).sort().join("\n");
}

/** Sorts the members of `serf members -format=json` by name. */
export function sortedMembers(text: string): string {
  const listing = JSON.parse(text) as { members: { name: string }[] };
  listing.members.sort((a, b) => a.name < b.name ? -1 : 1);
  return JSON.stringify(listing);
}

/** Cuts a help text, which is worded differently, down to its usage line. */
export function withoutHelp(text: string): string {
  return text.replace(/^(Usage: serf \S+)[^]*$/m, "$1 ...\n");
}
