/**
 * `serf agent -check`: whether an agent could be started, and with what.
 *
 * As text, what is wrong, what the settings are and what they mean for the security
 * of the agent go to standard output. As JSON, standard output has a configuration
 * file or nothing, and all that is said goes to standard error. A report is one JSON
 * document with everything, for programs.
 */

import { checkConfiguration, type CheckReport } from "../lib/agent/check.ts";
import type { ConfigError, ConfigWorld } from "../lib/agent/config.ts";
import { effectiveFile, effectiveText } from "../lib/agent/effective_config.ts";
import { type SecuritySummary, securityText } from "../lib/agent/security.ts";
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
  if (!FORMATS.includes(format)) {
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
  const { merged, layers, notes, problems, security } = report;
  const isGood = merged !== undefined && problems.length === 0;
  if (format === "report") {
    terminal.out(`${renderJson(reportDocument(report))}\n`);
  } else if (format === "text") {
    terminal.out(saying(report));
    if (isGood) terminal.out(indented(effectiveText(merged, layers)));
    if (isGood && security !== undefined) {
      terminal.out(`==> Security\n${indented(securityText(security))}`);
    }
  } else {
    if (notes.length + problems.length > 0) terminal.err(saying(report));
    if (isGood) {
      terminal.out(`${renderJson(effectiveFile(merged) as JsonValue)}\n`);
    }
  }
  return isGood ? 0 : 1;
}

const FORMATS: readonly string[] = ["text", "json", "report"];

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}\n`).join("");
}

/** Everything that a check finds. Settings are there if they are good. */
function reportDocument(
  { merged, notes, problems, security }: CheckReport,
): JsonValue {
  const isGood = merged !== undefined && problems.length === 0;
  return {
    valid: isGood,
    problems,
    notes,
    ...(isGood && { settings: effectiveFile(merged) as JsonValue }),
    ...(isGood && security !== undefined && {
      security: securityDocument(security),
    }),
  };
}

function securityDocument(security: SecuritySummary): JsonValue {
  const { encryption, rpc, gossip } = security;
  return {
    encryption: {
      on: encryption.isOn,
      keys_from: encryption.keysFrom ?? null,
      keys: encryption.keys ?? null,
      mode: encryption.mode ?? null,
    },
    rpc: {
      address: rpc.address,
      reach: rpc.reach,
      token: rpc.hasToken,
      token_from: rpc.tokenFrom ?? null,
    },
    gossip: {
      bind: gossip.bind,
      reach: gossip.reach,
      advertise: gossip.advertise || null,
    },
    handlers: security.handlers,
    discover: security.discover || null,
    metrics_to: security.metricsTo,
    log_level: security.logLevel,
    syslog: security.syslog || null,
    validates_names: security.validatesNames,
  };
}

/** Notes, problems, and the verdict. */
function saying({ notes, problems, merged }: CheckReport): string {
  const verdict = problems.length === 0
    ? "The configuration is valid"
    : merged === undefined
    ? "The configuration is not valid; more may be wrong, which shows when all files can be read"
    : "The configuration is not valid";
  return [...notes, ...problems, verdict]
    .map((message) => `==> ${message}\n`).join("");
}
