import assert from "node:assert/strict";
import { isSelected } from "../../lib/net/member_selection.ts";
import type { MemberSelection } from "../../lib/net/member_selection.ts";
import { member } from "../rpc/fake_target.ts";

const MEMBERS = [
  member("web1", { tags: { role: "web" } }),
  member("web2", { tags: { role: "web", zone: "eu-1" }, status: "failed" }),
  member("db1", { tags: { role: "database" }, status: "left" }),
];

function selected(selection: MemberSelection): string {
  return MEMBERS.filter((each) => isSelected(each, selection))
    .map(({ name }) => name).join(" ");
}

Deno.test("isSelected() wants everything that is given", () => {
  assert.equal(selected({}), "web1 web2 db1");
  assert.equal(selected({ name: "web1" }), "web1");
  assert.equal(selected({ name: "web" }), "", "a text must be equal");
  assert.equal(selected({ name: /web/ }), "web1 web2");
  assert.equal(selected({ status: "failed" }), "web2");
  assert.equal(selected({ status: ["alive", "left"] }), "web1 db1");
  assert.equal(selected({ status: [] }), "");
  assert.equal(selected({ tags: { role: /^web$/, zone: /^eu/ } }), "web2");
  assert.equal(selected({ name: /2$/, status: "alive" }), "");
});

Deno.test("isSelected() counts a tag that is not there as empty", () => {
  assert.equal(selected({ tags: { zone: "" } }), "web1 db1");
  assert.equal(selected({ tags: { zone: /^$/ } }), "web1 db1");
  assert.equal(selected({ tags: { zone: /./ } }), "web2");
});

Deno.test("isSelected() is not confused by the memory of a global expression", () => {
  const name = /web/g;
  assert.equal(selected({ name }), "web1 web2");
  assert.equal(selected({ name }), "web1 web2");
});
