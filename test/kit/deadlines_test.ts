import assert from "node:assert/strict";
import fc from "fast-check";
import { type Deadline, Deadlines } from "../../lib/kit/deadlines.ts";

Deno.test("takeDue() gives rows by time, and by order within one instant", () => {
  const table = new Deadlines<string>();
  table.add(5, "c");
  table.add(1, "a");
  table.add(1, "b");
  assert.equal(table.nextMs(), 1);
  assert.equal(table.takeDue(0), undefined);
  assert.equal(table.takeDue(1), "a");
  assert.equal(table.takeDue(1), "b");
  assert.equal(table.takeDue(4), undefined);
  assert.equal(table.takeDue(9), "c");
  assert.equal(table.nextMs(), undefined);
});

Deno.test("move() and delete() of a row that is gone change nothing", () => {
  const table = new Deadlines<string>();
  const row = table.add(1, "a");
  assert.equal(table.takeDue(1), "a");
  table.move(row, 7);
  table.delete(row);
  assert.equal(table.has(row), false);
  assert.equal(table.size, 0);
});

Deno.test("Deadlines agrees with a sorted list under random operations", () => {
  const operation = fc.oneof(
    fc.record({ op: fc.constant("add" as const), at: fc.nat(50) }),
    fc.record({ op: fc.constant("delete" as const), at: fc.nat(50) }),
    fc.record({ op: fc.constant("move" as const), at: fc.nat(50) }),
    fc.record({ op: fc.constant("take" as const), at: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const table = new Deadlines<number>();
      const rows: Deadline<number>[] = [];
      let model: { at: number; order: number; value: number }[] = [];
      let order = 0;
      for (const { op, at } of operations) {
        const chosen = at % Math.max(rows.length, 1);
        const row = rows[chosen];
        if (op === "add") {
          model.push({ at, order: order++, value: rows.length });
          rows.push(table.add(at, rows.length));
        } else if (op === "delete" && row !== undefined) {
          table.delete(row);
          model = model.filter(({ value }) => value !== chosen);
        } else if (op === "move" && row !== undefined) {
          table.move(row, at);
          const held = model.find(({ value }) => value === chosen);
          if (held !== undefined) Object.assign(held, { at, order: order++ });
        } else if (op === "take") {
          model.sort((a, b) => a.at - b.at || a.order - b.order);
          const first = model[0];
          const due = first !== undefined && first.at <= at ? first : undefined;
          if (due !== undefined) model.shift();
          assert.equal(table.takeDue(at), due?.value);
        }
        assert.equal(table.size, model.length);
        const earliest = Math.min(...model.map((held) => held.at));
        assert.equal(table.nextMs(), model.length === 0 ? undefined : earliest);
      }
    }),
  );
});
