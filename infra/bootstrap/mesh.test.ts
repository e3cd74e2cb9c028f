import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMeshWith, renderMeshWith } from "../../relay/config/mesh.ts";
import { listMeshEntries, type MeshPlace } from "./mesh.ts";

const pin = `sha256-raw:${"ab".repeat(32)}`;
const place: MeshPlace<string> = {
  certificates: "acme",
  hostName: "901b.derp.example.com",
  address: "203.0.113.7",
  derpPort: 443,
  certName: "",
};

/** In the relay's notation, which it has to be able to read. */
function render(...others: readonly Partial<MeshPlace<string>>[]): string {
  const text = renderMeshWith(listMeshEntries(others.map((other) => ({ ...place, ...other }))));
  assert.ok(parseMeshWith(text) !== undefined, text);
  return text;
}

test("a relay with a certificate of an authority is found and known by its name, or by its address if it is called so", () => {
  assert.equal(render({}), "901b.derp.example.com");
  assert.equal(render({ certificates: "manual", derpPort: 8443 }), "901b.derp.example.com:8443");
  assert.equal(render({ certificates: "acme-ip", hostName: "203.0.113.7" }), "203.0.113.7");
  assert.equal(
    render({ certificates: "acme-ip", hostName: "2001:db8::7", derpPort: 8443 }),
    "[2001:db8::7]:8443",
  );
});

test("a pinned relay is found by its address and known by its pin; without one it is left out", () => {
  const pinned = { certificates: "pinned", hostName: "901b.internal" } as const;
  assert.equal(render({ ...pinned, certName: pin }), `901b.internal/203.0.113.7=${pin}`);
  assert.equal(
    render({ ...pinned, certName: "pending" }, { ...pinned, hostName: "901c.internal", certName: pin }),
    `901c.internal/203.0.113.7=${pin}`,
  );
});
