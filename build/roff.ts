/**
 * Manual pages: roff with the macros of `man`, as groff and mandoc read them.
 *
 * Source: groff_man(7), groff_man_style(7).
 */

import type { Block } from "./markdown.ts";

/** Characters that print as others unless they are named. */
const NAMED: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "^": "\\(ha",
  "~": "\\(ti",
  "`": "\\(ga",
  "'": "\\(aq",
  '"': "\\(dq",
};

/** Text with no character that means something to roff. */
export function plain(text: string): string {
  return text
    .replaceAll(/[\\^~`'"]/g, (char) => NAMED[char] ?? char)
    // A dash at the beginning of a word is that of a flag and can be copied.
    .replaceAll(/(^|[^\w])-/g, "$1\\-")
    .replaceAll(
      /[^\x20-\x7e]/gu,
      (char) =>
        `\\[u${
          (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
        }]`,
    )
    .replace(/^\./, "\\&.");
}

/** Text that is typed as it stands: all its dashes can be copied. */
export function literal(text: string): string {
  return plain(text).replaceAll(/(?<!\\)-/g, "\\-");
}

export function bold(text: string): string {
  return `\\fB${literal(text)}\\fR`;
}

/** The inline marks of Markdown: code, emphasis and links, whose text is kept. */
export function inline(markdown: string): string {
  const parts = markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/);
  const text = parts.map((part) => {
    if (/^`.+`$/.test(part)) return bold(part.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(part)) return bold(part.slice(2, -2));
    return plain(part);
  }).join("");
  return text;
}

/** The lines of some blocks. */
export function renderBlocks(blocks: readonly Block[]): string[] {
  return blocks.flatMap((block): string[] => {
    switch (block.kind) {
      case "paragraph":
        return [".PP", inline(block.text)];
      case "list":
        return block.items.flatMap((item) => [".IP \\(bu 2", inline(item)]);
      case "code":
        return codeLines(block.lines);
      case "table":
        return block.rows.flatMap((row) => tagged(block.header, row));
    }
  });
}

/** Lines that are kept as they are. */
export function codeLines(lines: readonly string[]): string[] {
  return [".PP", ".RS 4", ".nf", ...lines.map(literal), ".fi", ".RE"];
}

/**
 * A row of a table, as a term and its description. The last column explains it;
 * those between are facts, each with its heading.
 */
function tagged(header: readonly string[], row: readonly string[]): string[] {
  const [term = "", ...cells] = row;
  const facts = cells.slice(0, -1)
    .map((cell, i) => ({ name: header[i + 1] ?? "", cell }))
    .filter(({ cell }) => cell !== "");
  return [
    ".TP",
    inline(term),
    `${inline(cells.at(-1) ?? "")}.`,
    ...facts.flatMap(({ name, cell }) => [
      ".br",
      `${plain(name)}: ${inline(cell)}.`,
    ]),
  ];
}

export interface PageHead {
  readonly name: string;
  readonly section: number;
  /** One line for lists of pages. */
  readonly synopsis: string;
  readonly version: string;
}

/** A page: its head and its sections. It has no date, so that it stays the same. */
export function page(
  { name, section, synopsis, version }: PageHead,
  sections: readonly { readonly title: string; readonly lines: string[] }[],
): string {
  const lines = [
    `.TH ${literal(name.toUpperCase())} ${section} "" "serf ${version}" "Serf"`,
    ".SH NAME",
    `${literal(name)} \\- ${plain(synopsis)}`,
  ];
  for (const { title, lines: body } of sections) {
    lines.push(`.SH ${plain(title.toUpperCase())}`);
    // A paragraph begins with the section anyway.
    lines.push(...(body[0] === ".PP" ? body.slice(1) : body));
  }
  return `${lines.join("\n")}\n`;
}
