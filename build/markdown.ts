/**
 * The Markdown of the pages in `docs/`, taken apart: headings, paragraphs, lists,
 * tables and fenced code, each starting in the first column.
 *
 * Not a Markdown parser for anything else; what it does not know is a paragraph.
 */

export type Block =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] }
  | { readonly kind: "code"; readonly lines: readonly string[] }
  | {
    readonly kind: "table";
    readonly header: readonly string[];
    readonly rows: readonly (readonly string[])[];
  };

export interface Section {
  /** Without `#`. */
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** The sections of a page; the first has the title of the page. */
export function parseMarkdown(page: string): Section[] {
  const sections: { title: string; lines: string[] }[] = [];
  let isCode = false;
  for (const line of page.split("\n")) {
    if (line.startsWith("```")) isCode = !isCode;
    const title = isCode ? undefined : /^#+ (.*)$/.exec(line)?.[1];
    if (title !== undefined) sections.push({ title, lines: [] });
    else sections.at(-1)?.lines.push(line);
  }
  return sections.map(({ title, lines }) => ({
    title,
    blocks: blocksOf(lines),
  }));
}

/**
 * The section of that title.
 *
 * @throws {Error} when there is none
 */
export function sectionOf(
  sections: readonly Section[],
  title: string,
): Section {
  const found = sections.find((section) => section.title === title);
  if (found === undefined) throw new Error(`There is no section "${title}"`);
  return found;
}

/** The cells of one line of a table. A bar in a cell is written `\|`. */
export function cellsOf(line: string): string[] {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length;) {
    const from = at;
    const takeWhile = (isMore: (line: string) => boolean) => {
      while (at < lines.length && isMore(lines[at] as string)) at++;
      return lines.slice(from, at);
    };
    const first = lines[at] as string;
    if (first === "") {
      at++;
    } else if (first.startsWith("```")) {
      at++;
      const code = takeWhile((line) => !line.startsWith("```")).slice(1);
      at++;
      blocks.push({ kind: "code", lines: code });
    } else if (first.startsWith("|")) {
      const [header = [], , ...rows] = takeWhile((line) => line.startsWith("|"))
        .map(cellsOf);
      blocks.push({ kind: "table", header, rows });
    } else {
      const text = takeWhile((line) => line !== "");
      blocks.push(
        first.startsWith("- ")
          ? { kind: "list", items: itemsOf(text) }
          : { kind: "paragraph", text: text.join(" ") },
      );
    }
  }
  return blocks;
}

function itemsOf(lines: readonly string[]): string[] {
  return lines.join("\n").split(/^- /m).slice(1)
    .map((item) => item.trim().replaceAll(/\s*\n\s*/g, " "));
}
