/** The recorded vectors of memberlist that belong to lib/swim. */

interface VectorFile {
  readonly vectors: readonly {
    readonly group: string;
    readonly name: string;
  }[];
}

const file: VectorFile = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/memberlist.json", import.meta.url)),
);

/** All vectors of a group; never none, so that no test passes on nothing. */
export function vectorsOf<T extends { readonly name: string }>(
  group: string,
): T[] {
  const found = file.vectors.filter((vector) => vector.group === group);
  if (found.length === 0) throw new Error(`No vectors of group ${group}`);
  return found as unknown as T[];
}
