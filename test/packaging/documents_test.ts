import assert from "node:assert/strict";
import { commandTable, withTable } from "../../build/command_table.ts";
import { documents } from "../../build/documents.ts";
import { allHelp, parseHelp } from "../../build/help_text.ts";
import { manPages } from "../../build/man.ts";
import { cellsOf, parseMarkdown } from "../../build/markdown.ts";
import { inline, literal, plain, renderBlocks } from "../../build/roff.ts";
import { FILE_KEYS } from "../../lib/agent/config_keys.ts";
import { lacks } from "../programs.ts";
import { read, run, scratch, serf } from "./tools.ts";

Deno.test("docs/commands.md has the commands as their help has them", async () => {
  const page = read("docs/commands.md");
  assert.equal(
    withTable(page, commandTable(await allHelp())),
    page,
    "the table of commands is out of date: deno task docs",
  );
});

Deno.test("docs/commands.md has the document of each command that prints JSON", async () => {
  const page = read("docs/commands.md");
  for (const { name, flags } of await allHelp()) {
    if (!flags.some(({ shown }) => shown.startsWith("format="))) continue;
    const place = name === "agent" ? "`serf agent -check" : `| \`${name}\` `;
    assert.ok(page.includes(place), name);
  }
});

Deno.test("withTable() refuses a page without the table", () => {
  assert.throws(() => withTable("# Serf\n\n## Commands\n\nNone.\n", "| a |\n"));
});

Deno.test("parseHelp() reads what renderHelp() lays out", () => {
  const help = parseHelp(
    "keys",
    [
      "Usage: serf keys [options]...",
      "",
      "  First.",
      "",
      "    kept as it is",
      "",
      "Options:",
      "",
      "  -list                     Show keys, as `serf x` does.",
      "                            And more.",
      "  -event-handler=FILTER=SCRIPT",
      "                            Script to run.",
    ].join("\n"),
  );
  assert.deepEqual(help, {
    usage: "keys [options]...",
    description: ["First.", "", "  kept as it is"],
    flags: [
      { shown: "list", text: "Show keys, as `serf x` does. And more." },
      { shown: "event-handler=FILTER=SCRIPT", text: "Script to run." },
    ],
  });
});

Deno.test("each command has a page with all of its flags", async () => {
  const pages = await manPages();
  for (const { name, synopsis, flags } of await allHelp()) {
    const overview = pages.get("serf.1") ?? "";
    assert.ok(overview.includes(plain(synopsis)), `${name} in serf.1`);
    if (["help", "version"].includes(name)) continue;
    const page = pages.get(`serf-${name}.1`);
    assert.ok(page !== undefined, `serf-${name}.1`);
    for (const { shown, text } of flags) {
      assert.ok(page.includes(`\n\\fB${literal(`-${shown}`)}\\fR\n`), shown);
      assert.ok(page.includes(`\n${plain(text)}\n`), text);
    }
  }
});

Deno.test("the pages have signals, exit codes, files and all keys", async () => {
  const pages = await manPages();
  const agent = pages.get("serf-agent.1") ?? "";
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) {
    assert.ok(agent.includes(`.TP\n\\fB${signal}\\fR\n`), signal);
  }
  const overview = pages.get("serf.1") ?? "";
  for (const term of ["SERF_RPC_ADDR", "SERF_CACHE_DIR", "/var/lib/serf/"]) {
    assert.ok(overview.includes(`.TP\n\\fB${term}\\fR\n`), term);
  }
  assert.ok(overview.includes(".TP\n127\n"));
  const config = pages.get("serf-config.5") ?? "";
  for (const { key } of FILE_KEYS) {
    assert.ok(config.includes(`.TP\n\\fB${literal(key)}\\fR\n`), key);
  }
});

Deno.test({
  name: "groff has no complaint about the pages (wants groff)",
  ignore: lacks("groff"),
  fn: async () => {
    using folder = scratch();
    for (const [name, text] of await manPages()) {
      const path = `${folder.path}/${name}`;
      Deno.writeTextFileSync(path, text);
      const { code, stdout, stderr } = await run(
        ["groff", "-man", "-Tutf8", "-ww", "-rF0", path],
      );
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, name);
      // Bold letters are printed twice, one over the other.
      const seen = stdout.replaceAll(/.[\b]/g, "");
      assert.match(seen, /^NAME\n +serf.* - \w/m);
      assert.match(seen, /^(SYNOPSIS|DESCRIPTION)\n/m);
    }
  },
});

Deno.test("plain() leaves nothing that roff would act upon", () => {
  assert.equal(plain(".so /etc/passwd"), "\\&.so /etc/passwd");
  assert.equal(plain("'tis"), "\\(aqtis");
  assert.equal(plain("a\\fBb"), "a\\efBb");
  assert.equal(plain("mid-word, -flag"), "mid-word, \\-flag");
  assert.equal(plain("µs"), "\\[u00B5]s");
  assert.equal(literal("a-b"), "a\\-b");
});

Deno.test("inline() keeps the text of links and sets code in bold", () => {
  assert.equal(
    inline("`-x` and **y**, see [this](docs/a.md)."),
    "\\fB\\-x\\fR and \\fBy\\fR, see this.",
  );
});

Deno.test("parseMarkdown() knows what our pages are made of", () => {
  const page = [
    "# Title",
    "",
    "Two",
    "lines.",
    "",
    "- one",
    "  more",
    "- two",
    "",
    "```sh",
    "# no heading",
    "```",
    "",
    "## Next",
    "",
    "| a | b   |",
    "| - | --- |",
    "| 1 | x\\|y |",
  ].join("\n");
  assert.deepEqual(parseMarkdown(page), [
    {
      title: "Title",
      blocks: [
        { kind: "paragraph", text: "Two lines." },
        { kind: "list", items: ["one more", "two"] },
        { kind: "code", lines: ["# no heading"] },
      ],
    },
    {
      title: "Next",
      blocks: [{ kind: "table", header: ["a", "b"], rows: [["1", "x|y"]] }],
    },
  ]);
  assert.deepEqual(cellsOf("| a |  |"), ["a", ""]);
});

Deno.test("renderBlocks() makes a term of each row of a table", () => {
  const [, section] = parseMarkdown(
    "# A\n## B\n| Key | Flag | Effect |\n| - | - | - |\n| `k` |  | Does |\n",
  );
  assert.deepEqual(renderBlocks(section?.blocks ?? []), [
    ".TP",
    "\\fBk\\fR",
    "Does.",
  ]);
});

for (
  const [name, shell] of [
    ["serf.bash", "bash"],
    ["_serf", "zsh"],
    ["serf.fish", "fish"],
  ] as const
) {
  Deno.test(`the completions for ${shell} are those of serf completion`, async () => {
    const files = await documents();
    const { code, stdout } = await serf("completion", shell);
    assert.equal(code, 0);
    assert.equal(files.get(`completions/${name}`), stdout);
  });
}
