/**
 * `serf agent -check`: whether an agent could be started, and with what.
 *
 * As text, what is wrong and what the settings are go to standard output. As
 * JSON, standard output has a configuration file or nothing, and all that is
 * said goes to standard error.
 */

import { checkConfiguration, type CheckReport } from "../lib/agent/check.ts";
import type { ConfigError, ConfigWorld } from "../lib/agent/config.ts";
import { effectiveFile, effectiveText } from "../lib/agent/effective_config.ts";
import { type AgentFlags, configPaths, layerOfFlags } from "./agent_flags.ts";
import { type JsonValue, renderJson } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Checks what the command line says and names.
 *
 * @returns the exit code
 */
export async function checkAgent(
  flags: AgentFlags,
  world: ConfigWorld,
  terminal: Terminal,
): Promise<number> {
  const { format } = flags.values;
  if (format !== "text" && format !== "json") {
    terminal.out(`==> Invalid output format "${format}"\n`);
    return 1;
  }
  const mistakes: ConfigError[] = [];
  const layer = layerOfFlags(flags.values, (error) => mistakes.push(error));
  const report = await checkConfiguration(
    configPaths(flags),
    layer,
    mistakes,
    world,
  );
  const { merged, layers, notes, problems } = report;
  const isGood = merged !== undefined && problems.length === 0;
  if (format === "text") {
    terminal.out(saying(report));
    if (isGood) {
      const rows = effectiveText(merged, layers);
      terminal.out(rows.map((row) => `    ${row}\n`).join(""));
    }
  } else {
    if (notes.length + problems.length > 0) terminal.err(saying(report));
    if (isGood) {
      terminal.out(`${renderJson(effectiveFile(merged) as JsonValue)}\n`);
    }
  }
  return isGood ? 0 : 1;
}

/** Notes, problems, and the verdict. */
function saying({ notes, problems, merged }: CheckReport): string {
  const verdict = problems.length === 0
    ? "The configuration is valid"
    : merged === undefined
    ? "The configuration is not valid; what else is wrong shows when all files can be read"
    : "The configuration is not valid";
  return [...notes, ...problems, verdict]
    .map((message) => `==> ${message}\n`).join("");
}
