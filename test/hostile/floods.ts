/**
 * Floods at an agent of ours and, in turn, at HashiCorp's, with the figures side by
 * side: `deno task floods [--seconds N] [--rounds N] [--only WORD]`.
 *
 * Each flood is repeated ROUNDS times (by default once) for SECONDS (by default 5)
 * each, on loopback. `--only` takes those whose name contains the word. Needs
 * HashiCorp's `serf`. Exits with 1 if ours has broken a promise of `broken`.
 */

import { parseArgs } from "node:util";
import { Cluster, type Kind, KINDS, requireHashicorp } from "../e2e/harness.ts";
import {
  broken,
  type Figures,
  type Flood,
  FLOODS,
  Siege,
  together,
} from "./siege.ts";

/** Until the victim is itself again; one of the original may need its time. */
const RECOVERY_MS = 120_000;

interface Row {
  readonly flood: string;
  readonly kind: Kind;
  readonly figures: Figures;
}

async function endure(
  flood: Flood,
  kind: Kind,
  options: { readonly seconds: number; readonly rounds: number },
): Promise<Row> {
  await using cluster = new Cluster();
  await using siege = await Siege.begin(cluster, kind);
  const rounds: Figures[] = [];
  for (let i = 0; i < options.rounds; i++) {
    rounds.push(await siege.endure(flood, options.seconds));
    if (i + 1 < options.rounds) {
      try {
        await siege.recover(RECOVERY_MS);
      } catch (error) {
        // The next round is told by its figures.
        console.error(
          `${kind} did not recover: ${String(error).split("\n")[0]}`,
        );
      }
    }
  }
  return { flood: flood.name, kind, figures: together(rounds) };
}

const COLUMNS: readonly (readonly [string, (row: Row) => string])[] = [
  ["flood", ({ flood }) => flood],
  ["agent", ({ kind }) => kind],
  ["failed", ({ figures }) => `${figures.failures}`],
  ["suspected", ({ figures }) => `${figures.suspicions}`],
  [
    "probes in time",
    ({ figures }) => `${figures.probesInTime}/${figures.probes}`,
  ],
  ["slowest", ({ figures }) => milliseconds(figures.slowestProbeMs)],
  [
    "joins",
    ({ figures }) => `${figures.joins - figures.failedJoins}/${figures.joins}`,
  ],
  ["slowest", ({ figures }) => milliseconds(figures.slowestJoinMs)],
  [
    "commands",
    ({ figures }) =>
      `${figures.commands - figures.failedCommands}/${figures.commands}`,
  ],
  ["slowest", ({ figures }) => milliseconds(figures.slowestCommandMs)],
  ["memory", ({ figures }) => `+${Math.round(figures.moreMemoryMb)} MB`],
  [
    "CPU",
    ({ figures }) =>
      `${Math.round(100 * figures.cpuMs / figures.durationMs)} %`,
  ],
  [
    "bytes out/in",
    ({ figures: { bytesOut, bytesIn } }) =>
      bytesIn === 0 ? "-" : (bytesOut / bytesIn).toFixed(1),
  ],
  ["log", ({ figures }) => `${Math.round(figures.logBytes / 1_024)} KB`],
];

function milliseconds(ms: number): string {
  return `${Math.round(ms)} ms`;
}

function print(rows: readonly Row[]): void {
  const lines = [
    COLUMNS.map(([title]) => title),
    COLUMNS.map(() => "---"),
    ...rows.map((row) => COLUMNS.map(([, text]) => text(row))),
  ];
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "1" },
      only: { type: "string", default: "" },
    },
  });
  await requireHashicorp();
  const options = {
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
  };
  const rows: Row[] = [];
  for (const flood of FLOODS) {
    if (!flood.name.includes(values.only)) continue;
    for (const kind of KINDS) {
      const row = await endure(flood, kind, options);
      rows.push(row);
      console.error(`${flood.name}, ${kind}: ${JSON.stringify(row.figures)}`);
    }
  }
  print(rows);
  for (const { flood, kind, figures } of rows) {
    if (kind !== "ours") continue;
    for (const what of broken(figures)) {
      console.error(`broken under ${flood}: ${what}`);
      Deno.exitCode = 1;
    }
  }
  // Programs that have ended leave a listener for their end behind.
  Deno.exit();
}
