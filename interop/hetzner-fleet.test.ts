/** A region at Hetzner with Cloudflare's DNS under Pulumi's engine, from its first preview to its last object. */
import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { userDataLimits } from "../infra/bootstrap/cloud-init.ts";
import { assertNowhere, CloudFleet, goesOnAfter, stateFiles } from "./cloud-fleet.ts";
import { type CloudObject, type CloudState, whyNoClouds } from "./simcloud.ts";

const stack = "hetzner";
const another = `
    - id: 902
      code: hki
      name: Helsinki
      cloud: hetzner
      location: hel1
      state: canary
      admission:
        anyone: true
`;

const one = { servers: 1, volumes: 1, firewalls: 1, primary_ips: 2, placement_groups: 1, records: 3 };

function addressesOf(state: CloudState): string[] {
  return (state.hetzner["primary_ips"] ?? []).map(({ id, ip }) => `${String(id)} ${String(ip)}`).sort();
}

function serverOf(state: CloudState): CloudObject {
  const [server] = state.hetzner["servers"] ?? [];
  assert.ok(server);
  return server;
}

/** Each run of the engine takes some seconds. */

describe("a region at Hetzner", { skip: whyNoClouds ?? false }, () => {
  let fleet: CloudFleet;
  before(async () => {
    fleet = await CloudFleet.start(stack);
  });
  after(() => fleet[Symbol.asyncDispose]());

  test("a preview makes nothing, an up makes what the example says, and then there is nothing to do", async () => {
    assert.equal(fleet.try("preview").status, 0);
    assert.deepEqual(await fleet.count(), {});
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    assert.deepEqual(await fleet.count(), one);
    fleet.staysAsItIs();
  });

  test("the machine came last, with its names in DNS, its firewall on, and user data that is small and holds no token", async () => {
    const made = (await fleet.clouds.calls())
      .filter(({ api, status }) => api === "POST" && status !== undefined && status < 300)
      .map(({ path: where = "" }) => where);
    const at = (part: RegExp): number[] => made.flatMap((where, index) => (part.test(where) ? [index] : []));
    const [server = -1] = at(/^\/(v1\/)?servers$/);
    assert.ok(
      at(/dns_records$/).length === 3 && at(/dns_records$/).every((index) => index < server),
      made.join("\n"),
    );
    const { user_data: userData, image } = serverOf(await fleet.clouds.state());
    const text = String(userData);
    assert.match(
      text,
      /^#cloud-config\n[^]*DERPKIT_DELIVERY=https:\/\/downloads\.example\.com\/derpkit\/fsn\n/,
    );
    assert.match(text, /DERPKIT_VOLUME=\/dev\/disk\/by-id\//);
    assert.doesNotMatch(text, /test-token/);
    assert.ok(Buffer.byteLength(text) < userDataLimits.hetzner);
    assert.equal(Object(image).name, "debian-13");
    const [firewall] = (await fleet.clouds.state()).hetzner["firewalls"] ?? [];
    const rules = firewall?.["rules"] as { protocol: string; port: string | null; source_ips: string[] }[];
    assert.deepEqual(
      rules.map(({ protocol, port, source_ips }) => `${protocol} ${port ?? "any"} ${source_ips.join(" ")}`),
      ["tcp 443 0.0.0.0/0 ::/0", "udp 3478 0.0.0.0/0 ::/0", "icmp any 0.0.0.0/0 ::/0"],
    );
  });

  test("the outputs are a map with both addresses, the records, and what to do now", async () => {
    const { Regions }: { Regions: Record<string, { Nodes: Record<string, unknown>[] }> } = JSON.parse(
      fleet.output("derpMap"),
    );
    const [node] = Regions["901"]?.Nodes ?? [];
    assert.equal(node?.["HostName"], "901a.derp.example.com");
    const { public_net: net } = serverOf(await fleet.clouds.state()) as {
      public_net: { ipv4: { ip: string }; ipv6: { ip: string } };
    };
    assert.equal(node?.["IPv4"], net.ipv4.ip);
    assert.equal(node?.["IPv6"], net.ipv6.ip.replace("::/64", "::1"));
    assert.deepEqual(JSON.parse(JSON.parse(fleet.output("derpMapJson"))), { Regions });
    const records: { type: string; content: string }[] = JSON.parse(fleet.output("dnsRecords"));
    assert.deepEqual(
      records.map(({ type, content }) => [type, content]),
      [
        ["A", node?.["IPv4"]],
        ["AAAA", node?.["IPv6"]],
        ["CAA", '0 issue "letsencrypt.org; validationmethods=tls-alpn-01"'],
      ],
    );
    assert.match(fleet.output("next"), /npm run bundle/);
  });

  test("npm run derpmap gives nobody a region that no gate was passed by, and names it", () => {
    const args = ["scripts/run.mjs", "derpmap", "--stack", "hetzner"];
    const { status, stderr } = fleet.project.run(process.execPath, args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /region 901 \(\w+\) of stack hetzner: is left out: the stack has no gate/);
    const { stderr: loud } = fleet.project.run(process.execPath, [...args, "--allow-unverified"]);
    // The cloud is a stand-in, and so are its addresses.
    assert.match(
      loud,
      /stack hetzner: Regions\.901\.Nodes\[0\]\.IPv4: is .*, which the Internet has no way to/,
    );
  });

  test("a new generation builds the machine anew, and its addresses, volume and records stay", async () => {
    const earlier = await fleet.clouds.state();
    fleet.edit((text) => text.replace("location: fsn1", "location: fsn1\n      generation: 2"));
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const now = await fleet.clouds.state();
    assert.notEqual(serverOf(now)["id"], serverOf(earlier)["id"]);
    assert.match(String(serverOf(now)["user_data"]), /generation 2/);
    assert.deepEqual(addressesOf(now), addressesOf(earlier));
    assert.deepEqual(
      now.hetzner["volumes"]?.map(({ id }) => id),
      earlier.hetzner["volumes"]?.map(({ id }) => id),
    );
    assert.deepEqual(now.cloudflare["records"], earlier.cloudflare["records"]);
    assert.equal(now.hetzner["volumes"]?.[0]?.["server"], serverOf(now)["id"]);
    fleet.staysAsItIs();
  });

  test("what else changes of a region's text leaves its machine alone", async () => {
    const earlier = serverOf(await fleet.clouds.state());
    fleet.edit((text) =>
      text
        .replace("name: Falkenstein", "name: Saxony")
        .replace("downloads.example.com", "mirror.example.com")
        .replace("anyone: true", "verifyClientUrl: https://headscale.example.com/verify"),
    );
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const now = serverOf(await fleet.clouds.state());
    assert.deepEqual([now["id"], now["user_data"]], [earlier["id"], earlier["user_data"]]);
    assert.deepEqual(await fleet.count(), one);
    fleet.staysAsItIs();
  });

  test("a region that is added touches nothing of the one that is there, wherever it stands in the list", async () => {
    const earlier = await fleet.clouds.state();
    fleet.edit((text) => text.replace("derpkit:regions:\n", `derpkit:regions:${another}`));
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const now = await fleet.clouds.state();
    const kept = (kind: string): unknown =>
      now.hetzner[kind]?.find(({ id }) => id === earlier.hetzner[kind]?.[0]?.["id"]);
    for (const kind of ["servers", "volumes", "firewalls", "placement_groups"]) {
      assert.deepEqual(kept(kind), earlier.hetzner[kind]?.[0], kind);
    }
    assert.equal((await fleet.count())["servers"], 2);
    assert.match(fleet.output("derpMap"), /"NoMeasureNoHome": true/);
    fleet.staysAsItIs();
  });

  test("a region in use cannot be removed, by the program or by the engine, and the way out is named", async () => {
    fleet.edit((text) => text.replace(another, "\n"));
    const { status, text } = fleet.up();
    assert.notEqual(status, 0);
    assert.match(text, /region 902: is canary and no longer in the configuration/);
    assert.match(text, /state: draining, then state: retired/);
    assert.equal((await fleet.count())["servers"], 2);
    fleet.edit((current) => current.replace("derpkit:regions:\n", `derpkit:regions:${another}`));
    const destroy = fleet.destroy();
    assert.notEqual(destroy.status, 0);
    assert.match(destroy.text, /protect/);
    assert.equal((await fleet.count())["primary_ips"], 4);
  });

  test("a retired region leaves the map and may be removed; then everything may be, and nothing is left", async () => {
    fleet.edit((text) => text.replace("state: canary", "state: retired"));
    assert.equal(fleet.up().status, 0);
    assert.doesNotMatch(fleet.output("derpMap"), /"902"/);
    assert.equal((await fleet.count())["servers"], 2);
    fleet.edit((text) => text.replace(another.replace("canary", "retired"), "\n"));
    const removed = fleet.up();
    assert.equal(removed.status, 0, removed.text);
    assert.deepEqual(await fleet.count(), one);
    fleet.edit((text) => text.replace("location: fsn1", "location: fsn1\n      state: retired"));
    assert.equal(fleet.up().status, 0);
    const { status, text } = fleet.destroy();
    assert.equal(status, 0, text);
    assert.deepEqual(await fleet.count(), {});
  });
});

describe("trouble at Hetzner", { skip: whyNoClouds ?? false }, () => {
  test("whichever call fails, the next up goes on from there, and nothing is there twice", async () => {
    await using fleet = await CloudFleet.start(stack);
    assert.equal(fleet.up().status, 0);
    const calls = (await fleet.clouds.calls())
      .filter(({ api, path: where = "" }) => (api === "POST" || api === "PUT") && !where.includes("poweroff"))
      .map(({ api = "", path: where = "" }) => ({
        method: api,
        path: `^${where.replaceAll(/\d{2,}/g, "\\d+").replace(/\?.*$/, "")}$`,
      }));
    const kinds = [...new Map(calls.map((call) => [`${call.method} ${call.path}`, call])).values()];
    assert.ok(kinds.length >= 7, JSON.stringify(kinds));
    for (const call of kinds) {
      await using again = await CloudFleet.start(stack);
      await goesOnAfter(call, again, one);
    }
  });

  test("tokens that are kept as secrets are nowhere in clear: not in the state, not in user data, not in what is printed", async () => {
    const canaries = { "hcloud:token": "canary-8f1f4f0e6c2b", "cloudflare:apiToken": "canary-2b7a90c4d1e8" };
    await using fleet = await CloudFleet.start(stack, { HCLOUD_TOKEN: "", CLOUDFLARE_API_TOKEN: "" });
    for (const [key, canary] of Object.entries(canaries)) {
      fleet.project.pulumi("config", "set", "--stack", stack, "--secret", key, canary);
    }
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
    const files = stateFiles(fleet);
    assert.ok(files.some((bytes) => bytes.includes("derp-901-901a-server")));
    const userData = Buffer.from(String(serverOf(await fleet.clouds.state())["user_data"]));
    for (const canary of Object.values(canaries)) {
      assertNowhere(canary, [...files, userData, Buffer.from(text)]);
    }
  });

  const mistakes: Readonly<
    Record<
      string,
      {
        readonly environment?: NodeJS.ProcessEnv;
        readonly edit?: (text: string) => string;
        readonly says: RegExp;
      }
    >
  > = {
    "no token for Hetzner": {
      environment: { HCLOUD_TOKEN: "" },
      says: /There is no token for Hetzner Cloud[^]*HCLOUD_TOKEN/,
    },
    "no token for Cloudflare": {
      environment: { CLOUDFLARE_API_TOKEN: "" },
      says: /There is no token for Cloudflare[^]*CLOUDFLARE_API_TOKEN/,
    },
    "a size that is gone": {
      edit: (text) => text.replace("location: fsn1", "location: fsn1\n      size: cx22"),
      says: /region 901: cx22 cannot be ordered in fsn1 since 2025-12-31; size can be .*cx23/,
    },
    "a size that is sold elsewhere": {
      edit: (text) => text.replace("location: fsn1", "location: ash\n      size: cax11"),
      says: /region 901: cax11 is not sold in ash; size can be/,
    },
    "a zone of somebody else": {
      edit: (text) => text.replaceAll("example.com # yours", "example.org"),
      says: /Cloudflare does not show the zone example\.org[^]*derpkit:dns\.zone/,
    },
  };

  for (const [what, { environment = {}, edit, says }] of Object.entries(mistakes)) {
    test(`${what} is said before anything is made, without a stack`, async () => {
      await using fleet = await CloudFleet.start(stack, environment);
      if (edit !== undefined) fleet.edit(edit);
      const { status, text } = fleet.try("preview");
      assert.notEqual(status, 0);
      assert.match(text, says);
      assert.doesNotMatch(text, /^\s+at |unhandled/m);
      assert.deepEqual(await fleet.count(), {});
    });
  }
});
