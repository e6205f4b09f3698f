import assert from "node:assert/strict";
import {
  booleanFlag,
  durationFlag,
  FlagError,
  type FlagValues,
  integerFlag,
  listFlag,
  parseFlags,
  shownFlag,
  textFlag,
} from "../../cmd/flags.ts";

const help = { text: [] };
const TABLE = {
  on: booleanFlag(true, help),
  off: booleanFlag(false, help),
  text: textFlag("none", help),
  list: listFlag(help),
  int: integerFlag(3, help),
  wait: durationFlag(1_500, help),
};

const DEFAULTS: FlagValues<typeof TABLE> = {
  on: true,
  off: false,
  text: "none",
  list: [],
  int: 3,
  wait: 1_500,
};

/** A command line, what it sets, and what is left. */
type Case = readonly [
  args: string[],
  values: Partial<FlagValues<typeof TABLE>>,
  rest?: string[],
];

const CASES: readonly Case[] = [
  [[], {}],
  [["-text", "a"], { text: "a" }],
  [["--text", "a"], { text: "a" }],
  [["-text=a"], { text: "a" }],
  [["--text=a=b="], { text: "a=b=" }],
  [["-text="], { text: "" }],
  [["-text", ""], { text: "" }],
  [["-text", "-off"], { text: "-off" }],
  [["-text", "--"], { text: "--" }],
  [["-text=a", "-text=b"], { text: "b" }],
  [["-off"], { off: true }],
  [["-on=false", "-off=T"], { on: false, off: true }],
  [["-on=0"], { on: false }],
  [["-on", "false"], {}, ["false"]],
  [["-list", "a", "-list=b", "--list", ""], {
    list: ["a", "b", ""] as never[],
  }],
  [["-int=0x10"], { int: 16 }],
  [["-int", "-5"], { int: -5 }],
  [["-int=+1_000"], { int: 1_000 }],
  [["-int=017"], { int: 15 }],
  [["-int=0o17"], { int: 15 }],
  [["-int=0b_101"], { int: 5 }],
  [["-int=0_7"], { int: 7 }],
  [["-int=0X_f"], { int: 15 }],
  [["-int=00"], { int: 0 }],
  [["-wait=1m30s"], { wait: 90_000 }],
  [["-wait=0"], { wait: 0 }],
  [["a", "-off"], {}, ["a", "-off"]],
  [["-off", "a", "-on=0"], { off: true }, ["a", "-on=0"]],
  [["-", "-off"], {}, ["-", "-off"]],
  [["--", "-off"], {}, ["-off"]],
  [["-off", "--", "--"], { off: true }, ["--"]],
  [["", "-off"], {}, ["", "-off"]],
];

Deno.test("parseFlags() reads what Go's flag package reads", () => {
  for (const [args, values, rest = []] of CASES) {
    const parsed = parseFlags(TABLE, args);
    assert.deepEqual(
      { ...parsed.values },
      { ...DEFAULTS, ...values },
      args.join(" "),
    );
    assert.deepEqual(parsed.positionals, rest, args.join(" "));
  }
});

const COMPLAINTS: readonly (readonly [args: string[], line: string])[] = [
  [["-nope"], "flag provided but not defined: -nope"],
  [["--nope=1"], "flag provided but not defined: -nope"],
  [["-toString"], "flag provided but not defined: -toString"],
  [["-text"], "flag needs an argument: -text"],
  [["-off", "--list"], "flag needs an argument: -list"],
  [["-=x"], "bad flag syntax: -=x"],
  [["--=x"], "bad flag syntax: --=x"],
  [["---text"], "bad flag syntax: ---text"],
  [["-on=maybe"], 'invalid boolean value "maybe" for -on: parse error'],
  [["-on="], 'invalid boolean value "" for -on: parse error'],
  [["-off=tRUE"], 'invalid boolean value "tRUE" for -off: parse error'],
  [['-on=a"b'], 'invalid boolean value "a\\"b" for -on: parse error'],
  [["-int=x"], 'invalid value "x" for flag -int: parse error'],
  [["-int="], 'invalid value "" for flag -int: parse error'],
  [["-int=09"], 'invalid value "09" for flag -int: parse error'],
  [["-int=1__0"], 'invalid value "1__0" for flag -int: parse error'],
  [["-int=_1"], 'invalid value "_1" for flag -int: parse error'],
  [["-int=1_"], 'invalid value "1_" for flag -int: parse error'],
  [["-int=0x"], 'invalid value "0x" for flag -int: parse error'],
  [["-int=0b2"], 'invalid value "0b2" for flag -int: parse error'],
  [["-int=1.5"], 'invalid value "1.5" for flag -int: parse error'],
  [
    ["-int=9223372036854775808"],
    'invalid value "9223372036854775808" for flag -int: value out of range',
  ],
  [
    ["-int=-9223372036854775809"],
    'invalid value "-9223372036854775809" for flag -int: value out of range',
  ],
  [["-wait=5"], 'invalid value "5" for flag -wait: parse error'],
  [["-wait", "abc"], 'invalid value "abc" for flag -wait: parse error'],
  // Forms of asking for help that only the flag parser knows: no line at all.
  [["-help=1"], ""],
  [["--h="], ""],
];

Deno.test("parseFlags() complains in the words of Go's flag package", () => {
  for (const [args, line] of COMPLAINTS) {
    assert.throws(() => parseFlags(TABLE, args), (error: unknown) => {
      assert.ok(error instanceof FlagError);
      assert.equal(error.message, line);
      return true;
    });
  }
});

Deno.test("parseFlags() takes the largest integers there are", () => {
  for (const text of ["9223372036854775807", "-9223372036854775808"]) {
    assert.equal(parseFlags(TABLE, [`-int=${text}`]).values.int, Number(text));
  }
});

Deno.test("parseFlags() tells in which order flags were given", () => {
  const args = ["-list=a", "-text", "b", "-off", "-list=c"];
  const { given } = parseFlags(TABLE, args);
  assert.deepEqual(given, [
    { name: "list", text: "a" },
    { name: "text", text: "b" },
    { name: "off", text: "true" },
    { name: "list", text: "c" },
  ]);
});

Deno.test("shownFlag() names the default, unless told otherwise", () => {
  const shown = Object.entries(TABLE).map(([name, flag]) =>
    shownFlag(name, flag)
  );
  assert.deepEqual(shown, [
    "on=true",
    "off",
    "text=none",
    "list",
    "int=3",
    "wait=1500",
  ]);
  assert.equal(
    shownFlag("x", textFlag("", { shown: "x=<y>", text: [] })),
    "x=<y>",
  );
});
