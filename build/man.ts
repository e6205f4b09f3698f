/**
 * The manual pages: one for each command, of its own help, and what the pages in
 * `docs/` say about environment, exit codes, files, signals and settings.
 */

import { VERSION } from "../lib/kit/version.ts";
import { allHelp, type CommandHelp } from "./help_text.ts";
import { parseMarkdown, type Section, sectionOf } from "./markdown.ts";
import { bold, codeLines, literal, page, plain, renderBlocks } from "./roff.ts";

const DOCS = new URL("../docs/", import.meta.url);

/** The pages, by file name: `serf.1`, `serf-agent.1`, ..., `serf-config.5`. */
export async function manPages(): Promise<Map<string, string>> {
  const commands = await allHelp();
  const configuration = read("configuration.md");
  const pages = new Map([["serf.1", overviewPage(commands)]]);
  for (const command of commands) {
    // What there is to say about the others is in the overview.
    if (command.description.length === 0) continue;
    const more = command.name === "agent"
      ? ["Joining", "Signals", "Logs"].map((title) =>
        asPart(sectionOf(configuration, title))
      )
      : [];
    pages.set(`serf-${command.name}.1`, commandPage(command, more));
  }
  return pages.set("serf-config.5", configPage(configuration));
}

function read(name: string): Section[] {
  return parseMarkdown(Deno.readTextFileSync(new URL(name, DOCS)));
}

interface Part {
  readonly title: string;
  readonly lines: string[];
}

function asPart({ title, blocks }: Section): Part {
  return { title, lines: renderBlocks(blocks) };
}

/** References to other pages, each as `NAME(SECTION)`. */
function seeAlso(...pages: readonly string[]): Part {
  const lines = pages.map((reference, i) => {
    const [, name = "", section] = /^(.*)(\(\d\))$/.exec(reference) ?? [];
    const comma = i < pages.length - 1 ? "," : "";
    return `.BR ${literal(name)} ${section}${comma}`;
  });
  return { title: "See also", lines };
}

function overviewPage(commands: readonly CommandHelp[]): string {
  const docs = read("commands.md");
  return page({
    name: "serf",
    section: 1,
    synopsis: "cluster membership, failure detection and custom events",
    version: VERSION,
  }, [
    {
      title: "Synopsis",
      lines: [
        `${bold("serf")} ${plain("[--version] [--help] command [args]")}`,
      ],
    },
    {
      title: "Commands",
      lines: commands.flatMap(({ usage, synopsis }) => [
        ".TP",
        bold(usage),
        `${plain(synopsis)}.`,
      ]),
    },
    asPart(sectionOf(docs, "Environment")),
    asPart(sectionOf(docs, "Exit codes")),
    asPart(sectionOf(read("service.md"), "Files")),
    {
      title: "Output in JSON",
      lines: [
        ...renderBlocks((docs[0] as Section).blocks),
        ...renderBlocks(sectionOf(docs, "Documents").blocks),
      ],
    },
    seeAlso("serf-agent(1)", "serf-members(1)", "serf-config(5)"),
  ]);
}

function commandPage(
  { name, synopsis, usage, description, flags }: CommandHelp,
  more: readonly Part[],
): string {
  return page({
    name: `serf-${name}`,
    section: 1,
    synopsis: `${synopsis.slice(0, 1).toLowerCase()}${synopsis.slice(1)}`,
    version: VERSION,
  }, [
    { title: "Synopsis", lines: [bold(`serf ${usage}`)] },
    { title: "Description", lines: descriptionLines(description) },
    ...(flags.length === 0 ? [] : [{
      title: "Options",
      lines: flags.flatMap(({ shown, text }) => [
        ".TP",
        bold(`-${shown}`),
        plain(text),
      ]),
    }]),
    ...more,
    seeAlso("serf(1)", "serf-config(5)"),
  ]);
}

/** Paragraphs are filled anew; lines that stand further to the right are kept. */
function descriptionLines(description: readonly string[]): string[] {
  return description.join("\n").split("\n\n").flatMap((paragraph) =>
    paragraph.startsWith(" ")
      ? codeLines(paragraph.split("\n").map((line) => line.trimStart()))
      : [".PP", ...paragraph.split("\n").map(plain)]
  );
}

function configPage(configuration: readonly Section[]): string {
  const intro = configuration[0] as Section;
  return page({
    name: "serf-config",
    section: 5,
    synopsis: "configuration files of the Serf agent",
    version: VERSION,
  }, [
    { title: "Description", lines: renderBlocks(intro.blocks) },
    asPart(sectionOf(configuration, "Keys")),
    asPart(sectionOf(configuration, "Event handlers")),
    seeAlso("serf-agent(1)"),
  ]);
}
